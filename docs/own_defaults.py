"""For the reference: parameters that share a line of a docstring each keep their own default, not that of the first."""

from typing import Any

import griffe


class OwnDefaults(griffe.Extension):
    """Takes defaults from the signature."""

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Correct the parsed docstring of a function."""
        for section in func.docstring.parsed if func.docstring else ():
            if section.kind is griffe.DocstringSectionKind.parameters:
                for parameter in section.value:
                    if parameter.name in func.parameters:
                        parameter.value = func.parameters[parameter.name].default
