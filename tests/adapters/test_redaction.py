"""What is taken for a secret, and what is not."""

import pytest

from orch.adapters.redaction import redact, remember

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
KEY = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *[(f"token {kind}_{LETTERS}.", "token ***.") for kind in ("ghp", "gho", "ghu", "ghr")],
        (f"GH_TOKEN=ghs_{LETTERS} x", "GH_TOKEN=*** x"),
        (f"ghs_123_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.{LETTERS} x", "*** x"),
        (f"github_pat_11AAAAAAA0_{LETTERS}{LETTERS}", "***"),
        (f"'glpat-{LETTERS[:20]}'", "'***'"),
        (f"sk-ant-api03-{LETTERS}-{LETTERS}-AA", "***"),
        (f"sk-proj-{LETTERS} and sk-{LETTERS}{LETTERS}", "*** and ***"),
        ("aws AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE", "aws *** ***"),
        (f"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{LETTERS}", "jwt ***"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic ***"),
        ("-H 'authorization: token abcdefgh' x", "-H 'authorization: token ***' x"),
        (f'{{"Authorization": "Bearer {LETTERS}", "a": 1}}', '{"Authorization": "Bearer ***", "a": 1}'),
        (f"AUTHORIZATION: {LETTERS}", "AUTHORIZATION: ***"),
        (f"> proxy-authorization: Bearer {LETTERS}", "> proxy-authorization: Bearer ***"),
        (f"bearer {LETTERS}, x", "bearer ***, x"),
        ("fetch https://ada:secret@host/x.git", "fetch https://***@host/x.git"),
        ("https://ada:p@ss@host:8080/x", "https://***@host:8080/x"),
        ("postgres://app:hunter2@db.local/app", "postgres://***@db.local/app"),
        (f"https://{LETTERS}@host/", "https://***@host/"),
        (f"a\n-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\nb", "a\n***\nb"),
        (f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,X\n\n{KEY}\n-----END RSA PRIVATE KEY-----", "***"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\nb3BlbnNz", "***"),
        (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{KEY}\n-----END PGP PRIVATE KEY BLOCK-----", "***"),
        (
            '{"k": "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n", "x": 1}',
            '{"k": "***\\n", "x": 1}',
        ),
        (f"{KEY}\n-----END EC PRIVATE KEY-----\nb", "***\nb"),
    ],
)
def test_a_secret_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cbffe52 and 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "pull request https://github.com/owner/repository/pull/471",
        "ssh://git@github.com/owner/repository.git and git@github.com:owner/repository.git",
        "https://example.org/?mail=ada@example.org and http://host:8080/@types/node",
        "FAILED tests/test_login.py::test_bearer_authentication_is_required - assert 401 == 200",
        "Authorization: is required; the bearer of this message",
        "Bearer authentication-scheme-is-missing",
        "task-0123456789012345678901234567890123456789 and risk-management-of-something-long",
        "sk-learn-compatible-estimators-are-fine",
        "glossary-of-all-the-terms-and-words, ghp_short, github_pat_ begins one",
        "AKIA is a prefix; MAKIAIOSFODNN7EXAMPLE is none",
        "error: no -----BEGIN PRIVATE KEY----- found in key.pem\nnext line",
        "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----",
        "eyJhbGciOiJIUzI1NiJ9 alone, 1.2.3, a.b.c",
        "✅ Grüße",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ", "eyJ.", "://", "a", " ", "ghp_", "bearer ", "authorization: ", "authorization:a"),
        *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY----- ", "A" * 64 + "\n"),
        "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n",
    ],
)
def test_a_long_text_takes_no_long_time(piece: str) -> None:
    """A pattern that goes back and forth would need minutes for this: the time limit ends the test."""
    assert redact(piece * (1_000_000 // len(piece)) + " ~").endswith("~")


def test_values_that_are_known_to_be_secret_are_masked() -> None:
    try:
        remember({"correct horse", "correct horse battery"})
        assert redact("say: correct horse battery staple") == "say: *** staple"
    finally:
        remember(())
    assert redact("correct horse") == "correct horse"
