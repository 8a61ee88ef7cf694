import io

import pytest

from digitexp.apps.explorer import app as explorer_app
from digitexp.apps.explorer.session import framed
from digitexp.pages.page import BUNDLES, bundle_of
from tests.digitexp.apps.explorer.conftest import PORT, TOKEN
from tests.digitexp.apps.explorer.test_pictures import file_of, stroke

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
OWN = {"Host": f"127.0.0.1:{PORT}"}


@pytest.mark.parametrize(
    "path", ["/", "/_dash-layout", "/plotly/plotly.min.js", "/tools/softmax.html"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:80"},
        {"Host": f"evil.example:{PORT}"},
        {"Host": f"127.0.0.1:{PORT}", "Origin": "http://evil.example"},
        {"Host": f"127.0.0.1:{PORT}", "Origin": "null"},
    ],
)
def test_foreign_pages_and_names_are_refused(client, path, headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.text == f"Only http://127.0.0.1:{PORT}/ is answered, for pages from there.\n"


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}"])
def test_our_own_page_is_served_and_loads_nothing_from_elsewhere(client, host):
    answer = client.get("/", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 200
    assert "http://" not in answer.text.replace(f"http://{host}", "")
    assert "https://" not in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


LISTING = {
    "output": "..batch-rows.data...batch-note.children..",
    "outputs": [
        {"id": "batch-rows", "property": "data"},
        {"id": "batch-note", "property": "children"},
    ],
    "inputs": [
        {"id": "batch-read", "property": "n_clicks", "value": 1},
        {"id": "batch-clear", "property": "n_clicks"},
        {"id": "batch-arrived", "property": "data"},
    ],
    "changedPropIds": ["batch-read.n_clicks"],
    "state": [
        {"id": "batch-path", "property": "value", "value": "/etc"},
        {"id": "batch-rows", "property": "data", "value": []},
        {"id": "sweep", "property": "value", "value": "smoke"},
        {"id": "trial", "property": "value", "value": "champion"},
    ],
}
"""What the page sends when a folder is to be read."""


def test_a_folder_is_listed_for_whoever_has_the_token_only(app, client):
    update = "/_dash-update-component"
    assert "passwd" in client.post(update, json=LISTING, headers=OWN).text
    stranger = app.test_client()
    answer = stranger.post(update, json=LISTING, headers=OWN)
    assert answer.status_code == 403
    assert "passwd" not in answer.text
    assert "the address that `digitexp explore` printed" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/_dash-layout", "/plotly/plotly.min.js", "/tools/softmax.html"]
)
@pytest.mark.parametrize("token", ["", "another", TOKEN[:-1], f"{TOKEN}a", "a-token\xe9"])
def test_without_the_token_nothing_is_answered(app, path, token):
    stranger = app.test_client()
    assert stranger.get(path, query_string={"token": token}, headers=OWN).status_code == 403
    stranger.set_cookie(f"digitexp-explorer-{PORT}", token, domain=f"127.0.0.1:{PORT}")
    assert stranger.get(path, headers=OWN).status_code == 403


def test_the_token_leaves_the_address_for_a_cookie_and_the_choice_stays(app):
    answer = app.test_client().get(f"/?sweep=smoke&token={TOKEN}&tab=batch", headers=OWN)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/?sweep=smoke&tab=batch"
    cookie = answer.headers["Set-Cookie"]
    assert f"digitexp-explorer-{PORT}={TOKEN};" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_developers_tools_are_off(client):
    page = client.get("/", headers=OWN).text
    assert "dash_renderer" in page
    assert "hot_reload" not in page
    assert ".dev.js" not in page
    assert client.get("/_mcp", headers=OWN).mimetype == "text/html"  # the page, like any path


@pytest.mark.parametrize("bundle", BUNDLES)
def test_plotly_is_served_and_may_be_kept(client, bundle):
    answer = client.get(f"/plotly/{bundle}", headers=OWN)
    assert answer.mimetype == "text/javascript"
    assert len(answer.data) > 10**6
    assert "max-age" in answer.headers["Cache-Control"]


def upload(client, files, query="?sweep=smoke&trial=champion"):
    sent = {"files": [(io.BytesIO(content), name) for name, content in files.items()]}
    return client.post(f"/batch{query}", data=sent, headers=OWN)


def test_uploads_become_rows(client):
    answer = upload(client, {"a.png": file_of(stroke(40, 255, 0)), "b.txt": b"words"})
    first, second = answer.json["rows"]
    assert (first["file"], second["file"]) == ("a.png", "b.txt")
    assert first["answer"] in list("0123456789")
    assert second["note"] == "no picture: PNG and JPEG are read"


def test_uploads_are_limited(client):
    kind = "multipart/form-data; boundary=x"
    body = b"--x\r\n" + b"0" * 16 * 2**20
    answer = client.post("/batch", data=body, content_type=kind, headers=OWN)
    assert (answer.status_code, answer.json) == (413, {"error": "too large: at most 16 MB at once"})


def test_uploads_for_no_trial_are_answered_in_words(client):
    assert upload(client, {}, "").status_code == 409
    answer = upload(client, {"a.png": b""}, "?sweep=smoke&trial=88")
    assert answer.status_code == 409
    assert "no trial 88" in answer.json["error"]


def test_a_tool_is_made_for_the_chosen_trial_with_our_plotly(client):
    query = "?sweep=smoke&trial=1&beside=0"
    for name in ("softmax", "training", "decision_regions"):
        answer = client.get(f"/tools/{name}.html{query}", headers=OWN)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "smoke, trial 1" in answer.text
        assert ("smoke, trial 0" in answer.text) == (name == "training")
        assert f'src="/plotly/{bundle_of(name)}"' in answer.text
        assert len(answer.data) < 10**6  # plotly.js is not inside
    assert client.get(f"/tools/secrets.html{query}", headers=OWN).status_code == 404
    gone = client.get("/tools/softmax.html?sweep=%3Cb%3E&trial=1", headers=OWN)
    assert gone.status_code == 409
    assert "&lt;b&gt;" in gone.text


@pytest.mark.parametrize(
    ("drawing", "said"),
    [
        ({"strokes": [[[1, "a"]]]}, "lists of points"),
        ({"strokes": 7}, "lists of points"),
        ({"strokes": [[[1, float("nan")]]]}, "finite"),
        ({"strokes": [[[0, 1]] * 50_001]}, "at most 50000"),
        ({"picture": "http://evil.example/a.png"}, "no data address"),
        ({"picture": "data:image/png;base64,***"}, "damaged"),
        ({"picture": "data:text/plain;base64,aGk="}, "no picture"),
    ],
)
def test_what_is_no_drawing_is_refused(session, drawing, said):
    framing = (
        explorer_app.Session(session.recorded)
        .chosen(explorer_app.Choice("smoke", "champion", None))
        .framing
    )
    with pytest.raises(ValueError, match=said):
        framed(drawing, framing)
