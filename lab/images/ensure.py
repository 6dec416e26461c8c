"""Making sure that images are there: present, pulled, or built as stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from lab.images import recipes
from lab.images.builder import base_images, build_context
from lab.images.errors import ImageBuildFailed, ImageUnavailable
from lab.images.recipes import Recipe
from lab.images.reference import Reference, parse
from lab.images.registry import RegistryRefusal, RegistryUnreachable, pull

Report = Callable[[str], None]


class Origin(StrEnum):
    """Where an image came from in this call."""

    PRESENT = "present"
    PULLED = "pulled"
    BUILT = "built"


@dataclass(frozen=True)
class ImageResult:
    """An image that is there now.

    Attributes:
        reference: as it was asked for; the daemon knows the image by this name.
        origin: where it came from.
        stand_in: whether it was built here in place of the upstream image.
    """

    reference: str
    origin: Origin
    stand_in: bool


def ensure(reference: str, client: docker.DockerClient, report: Report) -> ImageResult:
    """Make sure that one image is there; see `ensure_all`."""
    return ensure_all([reference], client, report)[0]


def ensure_all(references: Iterable[str], client: docker.DockerClient, report: Report) -> list[ImageResult]:
    """Make sure that images are there, in this order, and say where each came from.

    An image that is present is taken as it is, unless it is a stand-in of an older recipe. Otherwise its
    registry is asked, and only if the registry can't be reached a stand-in is built. A registry that didn't
    answer once isn't asked again in the same call.

    Raises:
        ImageUnavailable: the registry says no, or nobody answers and there is no recipe for the image.
        ImageBuildFailed: building the stand-in stopped.
    """
    search = _Search(client, report)
    return [search.ensure(text) for text in references]


def build(
    context: Path,
    tag: str,
    client: docker.DockerClient,
    report: Report,
    buildargs: Mapping[str, str] | None = None,
) -> str:
    """Build an image of the project's own from a folder with a Dockerfile and return the image's id.

    Its base images are made sure of first. The image isn't a stand-in, whatever its base is.

    Raises:
        ImageUnavailable: a base image can't be had.
        ImageBuildFailed: with the last lines of the build.
    """
    dockerfile = context / "Dockerfile"
    if not dockerfile.is_file():
        raise ImageBuildFailed(f"{tag} can't be built: {dockerfile} is not there.", "Check the path.")
    ensure_all(base_images(dockerfile.read_text(), buildargs), client, report)
    labels = {recipes.STAND_IN_LABEL: "false", recipes.RECIPE_LABEL: ""}
    return build_context(context, tag, client, report, buildargs=buildargs, labels=labels)


@dataclass
class _Search:
    """One call of `ensure_all`: remembers what was found out about registries and images."""

    client: docker.DockerClient
    report: Report
    unreachable: dict[str, str] = field(default_factory=dict)
    results: dict[str, ImageResult] = field(default_factory=dict)

    def ensure(self, text: str) -> ImageResult:
        if text not in self.results:
            self.results[text] = self._find(parse(text))
        return self.results[text]

    def _find(self, reference: Reference) -> ImageResult:
        recipe = recipes.for_repository(reference)
        labels = self._labels(reference)
        if labels is not None and not _outdated(labels, recipe):
            return ImageResult(reference.text, Origin.PRESENT, labels.get(recipes.STAND_IN_LABEL) == "true")
        why_not = self._pull(reference)
        if why_not is None:
            return ImageResult(reference.text, Origin.PULLED, stand_in=False)
        self._build(reference, _usable(recipe, reference, why_not))
        return ImageResult(reference.text, Origin.BUILT, stand_in=True)

    def _labels(self, reference: Reference) -> dict[str, str] | None:
        """Return the labels of the local image, None if there is none of that name."""
        try:
            return dict(self.client.images.get(reference.text).labels)
        except ImageNotFound:
            return None

    def _pull(self, reference: Reference) -> str | None:
        """Pull the image; return None, or why its registry can't be reached."""
        if reference.registry in self.unreachable:
            return self.unreachable[reference.registry]
        self.report(f"pulling {reference.text}")
        try:
            pull(reference, self.client, self.report)
        except RegistryRefusal as refusal:
            raise ImageUnavailable(
                f"{reference.text} can't be pulled. The registry {reference.registry} says: {refusal}\n"
                "Fix the tag, log in with `docker login` if the image is private or the limit of anonymous "
                "pulls is reached, or set a registry prefix to a mirror that has the image."
            ) from refusal
        except RegistryUnreachable as problem:
            self.unreachable[reference.registry] = str(problem)
            self.report(f"the registry {reference.registry} can't be reached: {problem}")
            return str(problem)
        return None

    def _build(self, reference: Reference, recipe: Recipe) -> None:
        for base in recipe.bases():
            self.ensure(base)
        self.report(f"building a stand-in for {reference.text}")
        architecture = str(self.client.version()["Arch"])
        with recipe.context(architecture, self.report) as context:
            build_context(
                context,
                f"{reference.name}:{recipe.tag}",
                self.client,
                self.report,
                buildargs={"VERSION": recipe.version},
                labels=recipe.labels(),
                recipe=recipe.folder,
            )


def _outdated(labels: Mapping[str, str], recipe: Recipe | None) -> bool:
    """Tell whether a local image is a stand-in that its recipe would build differently today."""
    is_stand_in = labels.get(recipes.STAND_IN_LABEL) == "true"
    return is_stand_in and recipe is not None and labels.get(recipes.RECIPE_LABEL) != recipe.digest()


def _usable(recipe: Recipe | None, reference: Reference, why_not: str) -> Recipe:
    """Return the recipe if it builds exactly what is asked for.

    Raises:
        ImageUnavailable: with both causes, the registry's and the missing recipe.
    """
    if recipe is None:
        second = f"and there is no recipe for a stand-in (there are some for {_known()})"
    elif reference.digest is not None:
        second = "and a stand-in can't bear a digest; name the image by its tag where no registry answers"
    elif reference.tag != recipe.tag:
        second = f"and the recipe for a stand-in builds {recipe.repository}:{recipe.tag} only"
    else:
        return recipe
    raise ImageUnavailable(
        f"{reference.text} can't be had: "
        f"the registry {reference.registry} can't be reached ({why_not}), {second}.\n"
        "Make the registry reachable for the Docker daemon, set a registry prefix to a mirror, or load the "
        "image with `docker load`."
    )


def _known() -> str:
    return ", ".join(f"{recipe.repository}:{recipe.tag}" for recipe in recipes.RECIPES)
