"""Code from outside the repository: found, imported, identified, and kept from changing this suite.

A plugin is a Python file, a folder of files or a package, named by `--plugin` or installed with an
entry point, that registers methods, datasets, networks or metrics when it is imported. It is code
and runs as such: users have to trust it. Its identity is that of all its files, including those
that it imports from outside the standard library and installed packages.

installed_plugins  plugins of installed packages
integrity          whether code is still that of its source
loading            imports plugins, at the start and in workers
module_digests     the digest of the code of a module
old_names          the names by which the folders of this suite were imported before 0.1.0
plugin_files       the files of a plugin
registrations      which file has registered a method, a dataset, networks or a metric
safe_import        turns whatever an import raises into one line
source_files       the files that a module's code comes from
"""

__all__ = [
    "installed_plugins",
    "integrity",
    "loading",
    "module_digests",
    "old_names",
    "plugin_files",
    "registrations",
    "safe_import",
    "source_files",
]
