"""What is looked for in a page that Chromium shows, as JavaScript."""

POOR_CONTRAST = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(each => each / 255)
    .map(each => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const own = element => [...element.childNodes].some(
    each => each.nodeType === Node.TEXT_NODE && each.textContent.trim()
  );
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!own(element) || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(channels(style.color)), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5 || style.opacity < 1) poor.push([element.outerHTML.slice(0, 80), ratio]);
  }
  return poor;
}"""

FAULTS = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const faults = [];
  const demand = (good, element, what) => {
    if (!good) faults.push(`${what}: ${element.outerHTML.slice(0, 100)}`);
  };
  const named = element =>
    element.textContent.trim() || element.getAttribute("aria-label") || element.labels?.length
    || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent.trim();
  const headings = all("h1, h2, h3, h4, h5, h6");
  const level = element => Number(element.tagName[1]);
  headings.forEach((each, i) => {
    demand(each.textContent.trim(), each, "empty heading");
    demand(i === 0 ? level(each) === 1 : level(each) <= level(headings[i - 1]) + 1, each, "order");
  });
  for (const name of ["h1", "main", "header", "nav", "head > title"])
    demand(all(name).length === 1, document.body, `one ${name}`);
  demand(document.documentElement.lang, document.body, "language");
  all("button, input, select, a, nav, form, [role=region]").forEach(
    each => demand(named(each), each, "no name"));
  all("img").forEach(each => demand(each.alt.trim(), each, "no alt"));
  all("figure").forEach(each => demand(each.querySelector("figcaption"), each, "no caption"));
  all("table").forEach(each => demand(each.caption?.textContent.trim(), each, "no caption"));
  all("th").forEach(each => demand(each.scope, each, "no scope"));
  all("[style]").forEach(each => demand(false, each, "inline style"));
  all("a[href^='#']").forEach(each =>
    demand(document.getElementById(each.hash.slice(1)), each, "leads nowhere"));
  all("[id]").forEach(each =>
    demand(all(`[id="${each.id}"]`).length === 1, each, "id used twice"));
  all(".scroll, pre").forEach(each => demand(each.tabIndex === 0, each, "not reached by keyboard"));
  demand(all("[aria-live=polite]").length > 0, document.body, "no status");
  return faults;
}"""

CUT = """() => {
  const cut = [];
  for (const element of document.querySelectorAll("main *, header *")) {
    if (!element.checkVisibility() || element.closest(".scroll, .unseen, .others, svg")) continue;
    const box = element.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.left < -1)
      cut.push(["beyond the window", element.outerHTML.slice(0, 100)]);
    const style = getComputedStyle(element);
    if (style.overflowX !== "visible" && element.tagName !== "INPUT"
      && element.scrollWidth > element.clientWidth + 1)
      cut.push(["cut", element.outerHTML.slice(0, 100)]);
  }
  for (const picture of document.querySelectorAll(".chart svg")) {
    const whole = picture.getBoundingClientRect();
    for (const text of picture.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.left < whole.left - 1 || box.right > whole.right + 1)
        cut.push(["beyond its chart", text.textContent]);
    }
  }
  return cut;
}"""
