"""The files for TF Serving's container are valid for their schemas and for TF Serving's protos, and say what docs/serving.md promises."""

import http.server
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from components.serving.store.models_config import POLL_SECONDS
from tests.conftest import ROOT

SERVING = ROOT / "deploy" / "serving"
MANIFESTS = sorted((SERVING / "kubernetes").glob("*.yaml"))
FOLDER = "/home/me/workspace/serving/demo"
BATCHING = {"enable_batching": "true", "batching_parameters_file": "/etc/tensorflow-serving/batching.config"}

# tensorflow_serving/model_servers/main.cc at tag 2.19.1
FLAGS = set(
    re.findall(
        r"\w+",
        """port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support enable_batching
    allow_version_labels_for_unavailable_models batching_parameters_file enable_per_model_batching_parameters model_config_file
    model_config_file_poll_wait_seconds model_name model_base_path num_load_threads num_unload_threads max_num_load_retries
    load_retry_interval_micros file_system_poll_wait_seconds flush_filesystem_caches tensorflow_session_parallelism
    tensorflow_session_config_file tensorflow_intra_op_parallelism tensorflow_inter_op_parallelism use_alts_credentials ssl_config_file
    platform_config_file per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments grpc_max_threads enable_model_warmup
    num_request_iterations_for_warmup version monitoring_config_file remove_unused_fields_from_bundle_metagraph prefer_tflite_model
    num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check xla_cpu_compilation_enabled
    xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision skip_initialize_tpu
    enable_grpc_healthcheck_service enable_serialization_as_tensor_content""",
    )
)

FIELD = descriptor_pb2.FieldDescriptorProto


def _file(name, dependencies=()):
    return descriptor_pb2.FileDescriptorProto(name=name, package="tensorflow.serving", syntax="proto3", dependency=dependencies)


def _field(message, name, number, kind, label=FIELD.LABEL_OPTIONAL):
    message.field.add(
        name=name,
        number=number,
        label=label,
        type=FIELD.TYPE_MESSAGE if isinstance(kind, str) else kind,
        type_name=kind if isinstance(kind, str) else None,
    )


def _classes():
    """Returns BatchingParameters and MonitoringConfig, which tensorflow-serving-api does not have.

    Sources: tensorflow_serving/servables/tensorflow/session_bundle_config.proto, tensorflow_serving/config/monitoring_config.proto.
    """
    bundle = _file("session_bundle_config.proto", ["google/protobuf/wrappers.proto"])
    batching = bundle.message_type.add(name="BatchingParameters")
    int64, string, boolean = (f".google.protobuf.{kind}Value" for kind in ("Int64", "String", "Bool"))
    _field(batching, "max_batch_size", 1, int64)
    _field(batching, "batch_timeout_micros", 2, int64)
    _field(batching, "max_enqueued_batches", 3, int64)
    _field(batching, "num_batch_threads", 4, int64)
    _field(batching, "thread_pool_name", 5, string)
    _field(batching, "allowed_batch_sizes", 6, FIELD.TYPE_INT64, FIELD.LABEL_REPEATED)
    _field(batching, "pad_variable_length_inputs", 7, FIELD.TYPE_BOOL)
    _field(batching, "enable_large_batch_splitting", 8, boolean)
    _field(batching, "max_execution_batch_size", 9, int64)
    monitoring = _file("monitoring_config.proto")
    prometheus = monitoring.message_type.add(name="PrometheusConfig")
    _field(prometheus, "enable", 1, FIELD.TYPE_BOOL)
    _field(prometheus, "path", 2, FIELD.TYPE_STRING)
    _field(monitoring.message_type.add(name="MonitoringConfig"), "prometheus_config", 1, ".tensorflow.serving.PrometheusConfig")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    for file in (bundle, monitoring):
        pool.Add(file)
    return [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in ("BatchingParameters", "MonitoringConfig")
    ]


BatchingParameters, MonitoringConfig = _classes()


def substitute(text, **variables):
    """Substitutes variables as Compose does: ${NAME}, ${NAME:-default}, ${NAME:+instead}, ${NAME:?message}, and $$ for a dollar sign."""

    def value(match):
        if match[0] == "$$":
            return "$"
        if match[2] == ":+":
            return match[3] if variables.get(match[1]) else ""
        if variables.get(match[1]):
            return variables[match[1]]
        assert match[2] == ":-", f"{match[1]} is needed"
        return match[3]

    return re.sub(r"\$\$|\$\{(\w+)(?:(:-|:\+|:\?)([^}]*))?\}", value, text)


@pytest.fixture(scope="module")
def compose():
    return substitute((SERVING / "compose.yaml").read_text(), DIN_SERVING=FOLDER)


@pytest.fixture(scope="module")
def service(compose):
    return yaml.safe_load(compose)["services"]["serving"]


def manifest(kind):
    [found] = [document for file in MANIFESTS for document in yaml.safe_load_all(file.read_text()) if document["kind"] == kind]
    return found


@pytest.fixture(scope="module")
def pod():
    return manifest("Deployment")["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def batching():
    return text_format.Parse((SERVING / "batching.config").read_text(), BatchingParameters())


def flags(arguments):
    """Returns the values by name, without those that mean the same to TF Serving as no flag."""
    assert all(re.fullmatch(r"--[a-z_]+=\S*", argument) for argument in arguments), arguments
    given = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
    assert given.keys() <= FLAGS
    return {name: value for name, value in given.items() if value not in ("", "false") or name == "enable_profiler"}


def test_the_compose_file_is_one(compose, tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text(compose)
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*check, str(file)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    file.write_text(compose.replace("cap_drop", "cap_dropp"))
    assert subprocess.run([*check, str(file)], capture_output=True).returncode == 1


def test_compose_says_what_it_needs():
    with pytest.raises(AssertionError, match="DIN_SERVING is needed"):
        substitute((SERVING / "compose.yaml").read_text())


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
@pytest.mark.parametrize("version", ["1.31", "1.37"])
def test_manifests_are_kubernetes_own(file, version):
    for document in yaml.safe_load_all(file.read_text()):
        kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_manifest_is_noticed():
    deployment = manifest("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, "1.31", strict=True)


def test_the_kustomization_names_every_file():
    kustomization = yaml.safe_load((SERVING / "kustomization.yaml").read_text())
    assert {SERVING / path for path in kustomization["resources"]} == set(MANIFESTS)
    [config] = kustomization["configMapGenerator"]
    assert all((SERVING / path).is_file() for path in config["files"])
    assert Path(BATCHING["batching_parameters_file"]).name in config["files"]


needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")


def render(folder):
    rendered = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True)
    assert rendered.returncode == 0, rendered.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(rendered.stdout)}


@needs_kubectl
def test_the_kustomization_renders():
    documents = render(SERVING)
    assert len(documents) == len(MANIFESTS) + 1
    for document in documents.values():
        kubernetes_validate.validate(document, "1.31", strict=True)
    volumes = {volume["name"]: volume for volume in documents["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == documents["ConfigMap"]["metadata"]["name"]


@needs_kubectl
def test_batching_is_one_line_in_the_kustomization(tmp_path):
    folder = shutil.copytree(SERVING, tmp_path / "serving")
    with (folder / "kustomization.yaml").open("a") as file:
        file.write("components: [kubernetes/batching]\n")
    [plain, batched] = (
        flags(render(path)["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]) for path in (SERVING, folder)
    )
    assert batched == {**plain, **BATCHING}


@pytest.fixture
def start(tmp_path):
    """Runs the entry point of Compose's service with a program in place of TF Serving that prints its process id and its arguments."""
    program = tmp_path / "tensorflow_model_server"
    program.write_text('#!/bin/sh\necho $$\nfor word; do echo "$word"; done\n')
    program.chmod(0o755)

    def call(**variables):
        text = substitute((SERVING / "compose.yaml").read_text(), DIN_SERVING=FOLDER, **variables)
        service = yaml.safe_load(text)["services"]["serving"]
        words = [word.replace("$$", "$").replace(f"/usr/bin/{program.name}", str(program)) for word in service["entrypoint"]]
        environment = {**service["environment"], "PATH": "/usr/bin:/bin"}
        return subprocess.Popen([*words, *service["command"]], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return call


@pytest.mark.parametrize(
    ("variables", "batching"), [({}, {}), ({"DIN_BATCHING": "false"}, {}), ({"DIN_BATCHING": ""}, {}), ({"DIN_BATCHING": "true"}, BATCHING)]
)
def test_batching_is_one_variable_of_compose(start, service, variables, batching):
    """TF Serving does not start with a batching file if batching is off."""
    with start(**variables) as process:
        number, *arguments = process.communicate()[0].splitlines()
    assert flags(arguments) == {**flags(service["command"]), **batching}
    assert int(number) == process.pid  # signals reach it


def test_compose_refuses_another_value_for_batching(start):
    with start(DIN_BATCHING="yes") as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (2, "", "DIN_BATCHING is 'yes': give true or false.\n")


def test_batching_merges_without_waiting_and_never_pads(batching, service):
    assert not batching.pad_variable_length_inputs  # it would repeat a history's first event
    assert batching.batch_timeout_micros.value == 0
    assert batching.max_batch_size.value >= batching.max_execution_batch_size.value > 1 and batching.enable_large_batch_splitting.value
    assert batching.num_batch_threads.value == int(service["deploy"]["resources"]["limits"]["cpus"])
    with pytest.raises(text_format.ParseError):
        text_format.Parse("max_batch_sizes { value: 1 }", BatchingParameters())


def test_monitoring_is_where_prometheus_looks(service):
    monitoring = text_format.Parse((SERVING / "monitoring.config").read_text(), MonitoringConfig()).prometheus_config
    told = manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert monitoring.enable and monitoring.path == told["prometheus.io/path"]
    assert told["prometheus.io/port"] == flags(service["command"])["rest_api_port"]


def test_flags_are_tf_serving_s_and_the_same_in_both(service, pod):
    [container] = pod["containers"]
    in_compose, in_kubernetes = flags(service["command"]), flags(container["args"])
    assert in_compose.pop("model_config_file") == f"{FOLDER}/models.config"
    assert in_kubernetes.pop("model_config_file") == "/serving/demo/models.config"
    assert in_compose == in_kubernetes
    assert container["image"] == service["image"] and not service["image"].endswith("latest")
    assert container["command"] == ["/usr/bin/tensorflow_model_server"] and f"exec {container['command'][0]} " in service["entrypoint"][2]
    cpus = service["deploy"]["resources"]["limits"]["cpus"]
    assert in_compose["tensorflow_inter_op_parallelism"] == cpus == container["resources"]["limits"]["cpu"]
    assert in_compose["tensorflow_intra_op_parallelism"] == "1"
    assert in_compose["allow_version_labels_for_unavailable_models"] == "true"
    assert in_compose["enable_profiler"] == "false"
    assert float(in_compose["model_config_file_poll_wait_seconds"]) == POLL_SECONDS  # the default of serving.poll_seconds


def test_files_that_flags_name_are_mounted(service, pod):
    arguments = flags(service["command"]) | BATCHING
    mounted = {volume["target"]: volume for volume in service["volumes"]}
    for name in ("batching_parameters_file", "monitoring_config_file"):
        assert (SERVING / mounted[arguments[name]]["source"]).is_file()
    assert mounted[FOLDER]["source"] == FOLDER  # models.config names the host's path
    [container] = pod["containers"]
    paths = {mount["mountPath"] for mount in container["volumeMounts"]}
    for name, value in (flags(container["args"]) | BATCHING).items():
        if name.endswith("_file"):
            assert any(Path(value).is_relative_to(path) for path in paths), name
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_compose_confines_the_server(service):
    assert {port["host_ip"] for port in service["ports"]} == {"127.0.0.1"}
    assert service["read_only"] and all(volume["read_only"] for volume in service["volumes"])
    assert service["user"] == "1000:1000" and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys()


def test_kubernetes_confines_the_server(pod):
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys() & container["resources"]["requests"].keys()
    writable = [mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["tmp"]
    assert manifest("Service")["spec"]["type"] == "ClusterIP"
    assert not manifest("NetworkPolicy")["spec"].get("egress")


def test_selectors_find_the_pods():
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels


def test_probes_ask_for_the_served_model(pod):
    [container] = pod["containers"]
    name = Path(flags(container["args"])["model_config_file"]).parent.name
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    arguments = flags(container["args"])
    assert ports == {"grpc": arguments["port"], "http": arguments["rest_api_port"]}
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": f"/v1/models/{name}/labels/stable/metadata", "port": "http"}


@pytest.mark.parametrize("status, healthy", [(200, True), (404, False), (None, False)])
def test_the_health_check_asks_for_the_stable_version(service, status, healthy):
    """The command runs as it is, but with another port: against a server that answers with a status, and where no server listens."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}" * 100_000)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if status is None:
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    kind, *command = [part.replace("8501", str(server.server_port)) for part in service["healthcheck"]["test"]]
    try:
        result = subprocess.run(command, env={"DIN_SERVING": FOLDER, "PATH": "/usr/bin:/bin"}, capture_output=True, timeout=30)
    finally:
        if status is not None:
            server.shutdown()
            server.server_close()
    assert kind == "CMD" and (result.returncode == 0) == healthy, result.stderr
    assert asked == ([] if status is None else ["/v1/models/demo/labels/stable/metadata"])
