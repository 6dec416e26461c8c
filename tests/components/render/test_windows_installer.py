"""The PowerShell script for Windows guests, as far as it can be tried without a Windows: text and tree."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import tree_sitter_powershell
import yaml
from tree_sitter import Language, Node, Parser

from components.render import windows_installer
from components.render.tls import Server
from components.render.windows_installer import COLLECTORS, SCRIPT, config_lines, quoted, script
from components.settings import Group
from tests.support.examples import EXAMPLES, MINIMAL, settings
from tests.support.pki import PAIRS

PARSER = Parser(Language(tree_sitter_powershell.language()))
ADDRESSES = ("192.0.2.10", "2001:db8::/64")
PLAIN = script(settings(MINIMAL), ADDRESSES)
PAIR = PAIRS[Group.GUESTS]
SERVER = Server(certificate=PAIR.certificate, key=PAIR.key, passwords="a-password-of-the-guests")
ENCRYPTED = script(settings(MINIMAL), ADDRESSES, SERVER)

# Variables that PowerShell itself gives, and its environment.
AUTOMATIC = {"_", "null", "true", "false", "pscommandpath", "lastexitcode", "erroractionpreference",
             "progresspreference", "executioncontext"}  # fmt: skip
# What came with PowerShell 6 and 7.
NEW_SYNTAX = {"&&", "||", "??", "??=", "?.", "?[", "ternary_expression", "ternary_argument_expression"}
# Verbs of cmdlets that change something.
CHANGES = (
    "New-Item", "New-Net", "Set-Config", "Set-Rule", "Set-Tls", "Set-Acl", "Remove-", "Copy-",
    "Restart-Service -Name", "Start-Service", "Start-Process", "Invoke-WebRequest", "Stop-Service -",
    "WriteAllText", "Invoke-MsiExec",
)  # fmt: skip
STEPS = (
    "Assert-NoStranger", "Assert-NoDowngrade", "Assert-PortFree", "Assert-WebConfig", "Save-Msi",
    "if ($OwnTls) { Set-Tls }", "Set-Config", "Install-Msi", "Set-Rule", "Wait-Answer",
)  # fmt: skip


def nodes(text: str) -> Iterator[Node]:
    waiting = [PARSER.parse(text.encode()).root_node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def text_of(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def faults(text: str) -> list[str]:
    return [text_of(node)[:60] for node in nodes(text) if node.is_error or node.is_missing]


def functions(text: str) -> dict[str, str]:
    found = {}
    for node in nodes(text):
        if node.type == "function_statement":
            name = next(text_of(child) for child in node.children if child.type == "function_name")
            found[name] = text_of(node)
    return found


def variables(text: str) -> tuple[set[str], set[str]]:
    """Names that are read, and names that are given: by assignment, as a parameter, by a loop."""
    read, given = set(), set()
    for node in nodes(text):
        if node.type not in ("variable", "braced_variable"):
            continue
        raw = text_of(node).strip("${}").lower()
        if raw.startswith("env:"):
            continue
        # Of another scope, or given to a command as its parameters.
        name = raw.removeprefix("script:").lstrip("@")
        read.add(name)
    given |= {name.lower() for name in re.findall(r"(?m)^\s*\$(?:script:)?(\w+)\s*\+?=", text)}
    given |= {name.lower() for name in re.findall(r"\[(?:switch|string|int|string\[\])\]\$(\w+)", text)}
    given |= {name.lower() for name in re.findall(r"(?:foreach|param)\s*\(\s*\$(\w+)", text)}
    given |= {name.lower() for name in re.findall(r"param\(\$\w+, \$(\w+)\)", text)}
    return read, given


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_is_ascii_and_can_be_parsed_for_every_example(example: str) -> None:
    for server in (None, SERVER):
        text = script(settings(EXAMPLES[example]), ADDRESSES, server)
        assert text.isascii()
        assert "\r" not in text
        assert faults(text) == []
        assert windows_installer.PLACE not in text


def test_a_fault_in_the_text_would_be_found() -> None:
    assert faults(PLAIN.replace("function Write-Line {", "function Write-Line {{", 1))
    assert faults(PLAIN.replace("if ($Restart)", "if ($Restart", 1))


def later(text: str) -> set[str]:
    found = list(nodes(text))
    words = {text_of(node) for node in found if node.type == "generic_token"}
    return ({node.type for node in found} | words) & NEW_SYNTAX


def test_windows_powershell_knows_all_of_it() -> None:
    assert later(PLAIN) == set()
    for line in ("Get-Item a && Get-Item b", "$a = Get-Item a ?? 'b'", "$a = $b ?? 1", "$a = $b ? 1 : 2"):
        assert later(line) or faults(line), "what came later would be seen"


def test_every_variable_is_given_somewhere() -> None:
    read, given = variables(PLAIN)
    assert len(read) > 30
    assert read - given - AUTOMATIC == set()


def test_strictness_comes_first_and_nothing_asks() -> None:
    assert PLAIN.index("Set-StrictMode -Version Latest") < PLAIN.index("function ")
    assert PLAIN.index("$ErrorActionPreference = 'Stop'") < PLAIN.index("function ")
    assert not re.search(r"Read-Host|Get-Credential|-Confirm\b|\bpause\b", PLAIN)
    # Silent, and no restart by itself.
    assert "'/qn', '/norestart'" in PLAIN


def test_commands_are_written_out() -> None:
    named = {text_of(node) for node in nodes(PLAIN) if node.type == "command_name"}
    own = set(functions(PLAIN))
    assert len(own) > 20
    # Verb-Noun, or a function of this script: no alias of anything.
    assert {name for name in named if not re.fullmatch(r"[A-Z][a-zA-Z]+-[A-Z][A-Za-z]+", name)} == set()
    assert own <= named | own


def test_what_a_function_returns_is_not_mixed_with_what_it_says() -> None:
    assert "Write-Output" not in re.sub(r"#.*", "", PLAIN)


def test_checks_come_before_changes() -> None:
    body = functions(PLAIN)
    install = body["Install-Exporter"]
    order = [install.index(name) for name in STEPS]
    assert order == sorted(order)
    for name, text in body.items():
        if name.startswith(("Assert-", "Test-", "Get-Wanted", "Get-Rule", "Get-Service", "Get-Product")):
            assert not [word for word in CHANGES if word in text], name
    package = body["Save-Msi"]
    assert package.index("Get-FileHash") < package.index("return $path")
    assert "msiexec" not in package.lower()


def test_the_checksum_is_compared_before_msiexec_sees_the_file() -> None:
    body = functions(PLAIN)
    assert "if ($hash -ne $Sha256)" in body["Save-Msi"]
    assert re.search(r"'/i'", body["Install-Msi"])
    assert len(re.findall(r"'/i'", PLAIN)) == 1


def test_the_firewall_lets_in_only_what_was_given() -> None:
    text = functions(PLAIN)["Set-Rule"]
    assert "RemoteAddress = $Addresses" in text
    assert "ADDLOCAL" not in PLAIN
    assert "$Addresses = @(\n    '192.0.2.10',\n    '2001:db8::/64'\n)" in PLAIN


def test_a_site_s_values_stay_values() -> None:
    nasty = "a'; Remove-Item C:/ -Recurse; $x = '`\"@'"
    values = {**MINIMAL, "guestExporters": {"windows": {"processExclude": nasty}}}
    text = script(settings(values), ADDRESSES)
    assert faults(text) == []
    count = [sum(node.type == "command_name" for node in nodes(one)) for one in (text, PLAIN)]
    assert count[0] == count[1]
    # Doubled once for YAML and once for PowerShell.
    four_times = nasty.replace("'", "'" * 4)
    assert f"    exclude: ''{four_times}''" in text


@pytest.mark.parametrize("text", ["it's", "''", "$x", "`n", '"', "@'", "a;b", ""])
def test_a_string_of_powershell_holds_the_text_as_it_is(text: str) -> None:
    made = quoted(text)
    assert made[0] == made[-1] == "'"
    assert made[1:-1].replace("''", "'") == text
    assert faults(f"$a = {made}\n") == []


@pytest.mark.parametrize("text", ["\u2019", "ü", "a\nb", "\x00"])
def test_what_windows_reads_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not printable ASCII"):
        quoted(text)


# --- the exporter's configuration ----------------------------------------------------------------


def test_the_configuration_names_the_eight_collectors_and_no_command_lines() -> None:
    values = {
        **MINIMAL,
        "scrape": {"exporterPorts": {"windows": 9999}},
        "guestExporters": {"windows": {"processInclude": "sql.*|w3wp", "processExclude": "it's"}},
    }
    document = yaml.safe_load("\n".join(config_lines(settings(values))))
    assert document == {
        "collectors": {"enabled": ",".join(COLLECTORS)},
        "collector": {"process": {"include": "sql.*|w3wp", "exclude": "it's", "cmdline": False}},
        "log": {"level": "warn"},
        "web": {"listen-address": ":9999"},
    }
    assert set(COLLECTORS) == {
        "cpu",
        "memory",
        "logical_disk",
        "physical_disk",
        "net",
        "process",
        "system",
        "os",
    }


def test_the_script_adds_a_web_configuration_to_the_last_section() -> None:
    lines = [*config_lines(settings(MINIMAL)), "  config:", "    file: 'C:\\web.yml'"]
    assert yaml.safe_load("\n".join(lines))["web"] == {
        "listen-address": ":9182",
        "config": {"file": "C:\\web.yml"},
    }
    assert "'  config:'" in SCRIPT.read_text("ascii")


def test_the_release_is_the_pinned_one_unless_the_site_says_otherwise() -> None:
    assert "$Version = '0.31.8'" in PLAIN
    assert "/releases/download/v0.31.8/windows_exporter-0.31.8-amd64.msi'" in PLAIN
    text = script(settings(EXAMPLES["production"]), ADDRESSES)
    assert "$DefaultMsi = '\\\\files.example.com\\monitoring\\windows_exporter-0.31.8-amd64.msi'" in text


# --- TLS -----------------------------------------------------------------------------------------


def array(text: str, name: str) -> list[str]:
    """Strings of an array that is given in the text."""
    body = text.partition(f"${name} = @(")[2].partition("\n)")[0]
    return [line.strip().rstrip(",")[1:-1].replace("''", "'") for line in body.splitlines() if line.strip()]


def test_the_files_are_those_of_the_stack() -> None:
    assert array(ENCRYPTED, "CertificateLines") == PAIR.certificate.splitlines()
    assert array(ENCRYPTED, "KeyLines") == PAIR.key.splitlines()
    config = yaml.safe_load("\n".join(array(ENCRYPTED, "WebConfigLines")))
    assert config["tls_server_config"] == {
        "cert_file": "C:\\Program Files\\windows_exporter\\tls\\tls.crt",
        "key_file": "C:\\Program Files\\windows_exporter\\tls\\tls.key",
        "min_version": "TLS12",
    }
    (hashed,) = config["basic_auth_users"].values()
    assert hashed.startswith("$2b$10$")
    assert "a-password-of-the-guests" not in ENCRYPTED


def test_without_tls_the_script_holds_none_of_it() -> None:
    for name in ("CertificateLines", "KeyLines", "WebConfigLines"):
        assert f"${name} = @()\n" in PLAIN
    values = {**MINIMAL, "guestExporters": {"windows": {"webConfigFile": "C:\\own.yml"}}}
    text = script(settings(values), ADDRESSES, SERVER)
    assert "PRIVATE KEY" not in text
    assert "$TlsWebConfigFile = ''" in text
    assert "$DefaultWebConfigFile = 'C:\\own.yml'" in text


def test_key_and_hash_lie_where_only_system_and_administrators_look() -> None:
    body = functions(ENCRYPTED)
    assert "$TlsReaders = @('S-1-5-18', 'S-1-5-32-544')" in ENCRYPTED
    assert "SetAccessRuleProtection($true, $false)" in body["Set-TlsFolder"]
    # The folder is closed before anything is in it.
    assert body["Set-Tls"].index("Set-TlsFolder") < body["Set-Tls"].index("WriteAllText")
    assert "Restart-Service" not in body["Set-Tls"]
    assert "Remove-Tls" in body["Uninstall-Exporter"]
    # What a site puts there itself is neither written nor removed.
    assert "-and ($TlsWebConfigFile -ne '')" in ENCRYPTED
    assert "$WebConfigFile" not in body["Remove-Tls"]
