import json


def quote(text):
    return '"' + text.replace('"', '""') + '"'


def export_csv(rows):
    return "\n".join(",".join(quote(str(cell)) for cell in row) for row in rows)


def escape_xml(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def export_xml(rows):
    lines = ["<rows>"]
    for row in rows:
        cells = "".join(f"<cell>{escape_xml(str(cell))}</cell>" for cell in row)
        lines.append(f"  <row>{cells}</row>")
    lines.append("</rows>")
    return "\n".join(lines)


def export_json(rows):
    return json.dumps([list(row) for row in rows])
