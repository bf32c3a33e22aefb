"""What a run is asked to do: read from presets and command-line options, and checked for form.

Names of datasets, methods and parameters are looked up later, when cells are planned.

config             `Config` and `Variant`: what is asked for
option_values      values as the command line writes them: seeds, variants, settings
preset_files       presets: YAML files of the repository or of the user
validation_errors  pydantic's errors in one line
yaml_documents     YAML of plain values, with the location of each
"""

__all__ = ["config", "option_values", "preset_files", "validation_errors", "yaml_documents"]
