"""HTML and SVG as values: text becomes text and never markup, as nobody writes tags by hand."""

from xml.etree.ElementTree import Element, tostring

Child = str | Element | None


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """``<tag>`` with its children in order. Attributes that are None are left out; ``class_`` is ``class``, and an
    underscore within a name a hyphen.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), value if isinstance(value, str) else f"{value:g}")
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + child
            else:
                last.tail = (last.tail or "") + child
        elif child is not None:
            made.append(child)
            last = child
    return made


def as_html(root: Element) -> str:
    """The whole page."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
