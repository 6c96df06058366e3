"""Pages that show a bank in a browser: what each shows as plain data, and a template for it.

A page is a module with a function that reads the bank and returns a frozen dataclass, and a
template that its class names. `render` makes the HTML of any page; the server and an export to
files differ only in their `Links`.
"""
