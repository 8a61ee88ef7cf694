"""Numbers -> what people see: sections as terminal, HTML, Markdown; charts."""
