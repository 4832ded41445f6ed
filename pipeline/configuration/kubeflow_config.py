"""The containers of a pipeline that `din compile` makes for Kubeflow: their image, their volume, and what each may use."""

from typing import Annotated

from pydantic import Field

from din_trainer.frozen import Frozen

_Image = Annotated[str, Field(pattern=r"^$|^[a-z0-9][a-zA-Z0-9_.:/@-]*$", max_length=500)]
_Cores = Annotated[float, Field(ge=0, le=10_000)]
_Memory = Annotated[float, Field(ge=0, le=100_000)]


class ContainerConfig(Frozen):
    """One container. What is not set is as in the table around it."""

    image: _Image = ""
    cpu: _Cores = 0
    memory_gib: _Memory = 0


class KubeflowConfig(Frozen):
    """All containers."""

    image: _Image = Field("", description="The image of deploy/Dockerfile in a registry that the cluster reads.")
    cpu: _Cores = Field(0, description="The most cores that a container may use; 0: no limit.")
    memory_gib: _Memory = Field(0, description="The most memory that a container may use, in GiB; 0: no limit.")
    volume: str = Field(
        "", pattern=r"^$|^[a-z0-9][a-z0-9.-]*$", max_length=253, description="A PersistentVolumeClaim, mounted at the workspace."
    )
    components: dict[str, ContainerConfig] = Field(default_factory=dict, description="Other values for single nodes, such as Trainer.")

    def container(self, node: str) -> ContainerConfig:
        """Returns the image and the limits of a node's container."""
        own = self.components.get(node, ContainerConfig())
        return ContainerConfig(image=own.image or self.image, cpu=own.cpu or self.cpu, memory_gib=own.memory_gib or self.memory_gib)
