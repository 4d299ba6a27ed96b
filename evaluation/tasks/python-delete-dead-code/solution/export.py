import json


def quote(text):
    return '"' + text.replace('"', '""') + '"'


def export_csv(rows):
    return "\n".join(",".join(quote(str(cell)) for cell in row) for row in rows)


def export_json(rows):
    return json.dumps([list(row) for row in rows])
