"""Which server `din serve` starts, with which command line, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from components.base.errors import InputError
from din_trainer.features import FeatureConfig
from pipeline.cli.main import main
from pipeline.online.client import Client, ServingError
from pipeline.online.models_config_follower import Follower
from pipeline.online.serve import LogSettings, serve
from tests.components.serving import toy


@pytest.fixture(autouse=True)
def short_polls(monkeypatch):
    monkeypatch.setattr("pipeline.online.tf_serving_process._POLL_SECONDS", 0.05)


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Puts a shell script on an otherwise empty PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    def add(name, script):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    return add


def recording(out, then):
    """A script that writes its process id, its arguments and the configuration named in them to files."""
    keep = f'while read -r line; do echo "$line"; done < "${{word#*=}}" > {out}.config'
    copy = f"for word; do case $word in --model_config_file=*) {keep};; esac; done"
    return f'{copy}\n{{ echo $$; for word; do echo "$word"; done; }} > {out}.part\n/bin/mv {out}.part {out}\n{then}'


def recorded(out):
    process, *words = out.read_text().splitlines()
    return int(process), words, text_format.Parse(Path(f"{out}.config").read_text(), ModelServerConfig()).model_config_list.config[0]


def flag(words, name):
    (value,) = [word.partition("=")[2] for word in words if word.startswith(f"--{name}")]
    return value


def stop_when_ready(lines):
    """A `say` that keeps the lines, and sends SIGTERM after the last address."""

    def say(line):
        lines.append(line)
        if line.startswith("gRPC"):
            signal.raise_signal(signal.SIGTERM)

    return say


def test_the_binary_is_started_on_what_is_pushed_and_ended(folder, on_path, tmp_path, monkeypatch):
    on_path("tensorflow_model_server", recording(tmp_path / "started", "exec /bin/sleep 600"))
    monkeypatch.setattr(Follower, "is_ready", lambda self: (tmp_path / "started").exists())
    lines, former = [], signal.getsignal(signal.SIGTERM)
    serve(folder, 0, 0, False, stop_when_ready(lines))
    process, words, model = recorded(tmp_path / "started")
    assert [word.partition("=")[0] for word in words] == [
        "--rest_api_port",
        "--port",
        "--model_config_file",
        "--allow_version_labels_for_unavailable_models",
        "--tensorflow_intra_op_parallelism",
    ]
    assert (model.name, model.base_path, dict(model.version_labels)) == ("demo", str(folder), {"stable": 1, "canary": 2})
    assert lines == [
        "TF Serving's own binary listens on all interfaces: restrict these ports with a firewall.",
        f"REST  http://127.0.0.1:{flag(words, 'rest_api_port')}/v1/models/demo",
        f"gRPC  grpc://127.0.0.1:{flag(words, 'port')}/demo",
    ]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert signal.getsignal(signal.SIGTERM) is former and not Path(flag(words, "model_config_file")).exists()


def test_a_binary_that_ends_by_itself_is_reported(folder, on_path):
    on_path("tensorflow_model_server", "exit 7")
    with pytest.raises(InputError, match="tensorflow_model_server stopped unexpectedly, with status 7"):
        serve(folder, 0, 0, False, print)


def test_a_local_image_is_run_with_ports_on_loopback_and_the_folder_read_only(folder, on_path, tmp_path):
    listed = 'if [ "$1 $2" = "image ls" ]; then echo "tensorflow/serving:<none>"; echo tensorflow/serving:2.19.1; exit 0; fi'
    on_path("docker", f"{listed}\n{recording(tmp_path / 'started', 'exit 7')}")
    with pytest.raises(InputError, match=r"tensorflow/serving:2\.19\.1 stopped unexpectedly, with status 7"):
        serve(folder, 0, 0, False, print)
    _, words, model = recorded(tmp_path / "started")
    ports, config = [flag(words, "rest_api_port"), flag(words, "port")], Path(flag(words, "model_config_file"))
    assert words == [
        *("run", "--rm", "--init", "--pull", "never"),
        *("--publish", f"127.0.0.1:{ports[0]}:{ports[0]}", "--publish", f"127.0.0.1:{ports[1]}:{ports[1]}"),
        *("--volume", f"{folder}:{folder}:ro", "--volume", f"{config.parent}:{config.parent}:ro"),
        *("--entrypoint", "/usr/bin/tensorflow_model_server", "tensorflow/serving:2.19.1"),
        *(f"--rest_api_port={ports[0]}", f"--port={ports[1]}", f"--model_config_file={config}"),
        *("--allow_version_labels_for_unavailable_models", "--tensorflow_intra_op_parallelism=1"),
    ]
    assert model.base_path == str(folder)


@pytest.mark.parametrize("docker", ["exit 1", "exit 0"])  # it does not answer; it has no image
def test_without_a_tf_serving_the_stand_in_says_what_it_is(toy_folder, on_path, docker):
    on_path("docker", docker)
    lines = []
    serve(toy_folder, 0, 0, False, stop_when_ready(lines))
    assert lines[0].startswith("This is a development stand-in, not TF Serving")
    assert [line.split()[0] for line in lines[-2:]] == ["REST", "gRPC"]


def test_the_stand_in_can_be_asked_for(toy_folder, on_path):
    on_path("tensorflow_model_server", "exit 7")
    lines = []
    serve(toy_folder, 0, 0, True, stop_when_ready(lines))
    assert lines[0].startswith("This is a development stand-in")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("option", ["--rest-port", "--grpc-port"])
def test_a_port_that_is_taken_is_an_input_error(folder, on_path, capfd, binary, option):
    if binary:
        on_path("tensorflow_model_server", "exit 7")
    ports = {"--rest-port": "0", "--grpc-port": "0"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports[option] = str(listener.getsockname()[1])
        words = [word for pair in ports.items() for word in pair]
        assert main(["serve", "--workspace", str(folder.parents[1]), *words]) == 2
    assert f"port {ports[option]} is not available (Address already in use): choose another with {option}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("workspace", "arguments", "reason"),
    [("nowhere", [], "has no pushed model"), ("workspace", ["--name", "other"], "other"), ("workspace", ["--rest-port", "70000"], "70000")],
)
def test_what_cannot_be_served_is_one_sentence(folder, tmp_path, capfd, workspace, arguments, reason):
    assert main(["serve", "--stand-in", "--workspace", str(tmp_path / workspace), *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == "" and reason in err and err.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("options, reason", [
    (["--log-sample", "0.5"], "--log-sample is the share that --log-requests logs: name a folder with it."),
    (["--log-requests", "log", "--log-sample", "0"], "--log-sample is 0: give a share above 0 and up to 1."),
    (["--log-requests", "log", "--log-sample", "nan"], "--log-sample is nan: give a share above 0 and up to 1."),
])  # fmt: skip
def test_a_share_of_requests_needs_a_log(folder, capfd, options, reason):
    assert main(["serve", "--workspace", str(folder.parents[1]), *options]) == 2
    assert capfd.readouterr().err == f"din: {reason}\n"


def test_tf_serving_does_not_log_for_us(folder, on_path, tmp_path):
    on_path("tensorflow_model_server", "exit 0")
    with pytest.raises(InputError, match=r"^--log-requests is for the stand-in, but tensorflow_model_server would serve: add --stand-in"):
        serve(folder, 0, 0, False, print, LogSettings(tmp_path / "log", 1.0))


def test_versions_without_a_configuration_are_an_input_error(folder):
    (folder / "models.config").unlink()
    with pytest.raises(InputError, match=r"has no models\.config"):
        serve(folder, 0, 0, True, print)


def test_din_serve_answers_until_it_is_interrupted(toy_folder):
    din = [sys.executable, "-c", "import sys; from pipeline.cli.main import main; sys.exit(main())", "serve", "--stand-in"]
    words = ["--workspace", str(toy_folder.parents[1]), "--rest-port", "0", "--grpc-port", "0"]
    with subprocess.Popen([*din, *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            urls = {}
            for line in process.stdout:
                kind, _, url = line.strip().partition("  ")
                if kind in ("REST", "gRPC"):
                    urls[kind] = url
                if len(urls) == 2:
                    break
            assert len(urls) == 2
            for url in urls.values():
                np.testing.assert_allclose(Client(url).predict(toy.ROWS), [toy.probability(row, 0.2) for row in toy.ROWS], rtol=1e-6)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


_SLOW = """
import sys, time
from pipeline.cli.main import main
from pipeline.online.stand_in import grpc_server, rest_server
from pipeline.online.stand_in.loaded_version import LoadedVersion
def run(*arguments):
    open(sys.argv.pop(), "w").close()
    time.sleep(600)
LoadedVersion.run, grpc_server.GRACE_SECONDS, rest_server.GRACE_SECONDS = run, 0.2, 0.2
sys.exit(main(sys.argv[1:-1]))
"""


@pytest.mark.parametrize("protocol", ["REST", "gRPC"])
def test_a_request_without_end_does_not_keep_din_serve_alive(toy_folder, tmp_path, protocol):
    """After SIGTERM running requests have a bound; the process ends then, although the thread of such a request still runs."""
    words = ["serve", "--stand-in", "--workspace", str(toy_folder.parents[1]), "--rest-port", "0", "--grpc-port", "0"]
    asked = tmp_path / "asked"
    os.mkfifo(asked)
    din = subprocess.Popen([sys.executable, "-c", _SLOW, *words, str(asked)], stdout=subprocess.PIPE, text=True)
    with din as process, ThreadPoolExecutor(1) as threads:
        try:
            url = next(line.split()[1] for line in process.stdout if line.startswith(protocol))
            asking = threads.submit(Client(url, features=FeatureConfig(), timeout=60, retries=0).predict, toy.ROWS)
            assert asked.read_text() == ""  # once it was asked
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            with pytest.raises(ServingError):
                asking.result(60)
        finally:
            process.kill()
