#!/usr/bin/env bash
# What the stack's build project runs (workers/build.yaml), once for `image` and once for `weights`.
# Each ends at once where what it would make is there already, so a build may be started as often as one likes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# IMAGE: its URI with a tag, or empty. CORE_LAYER: ARN of the layer with our package. ENGINE_IMAGE: what it is built on.
image() {
    if [ -z "$IMAGE" ]; then
        echo "image: nothing to do, the stack was given one"
        return
    fi
    local registry=${IMAGE%%/*} repository=${IMAGE#*/} core
    local tag=${repository##*:}
    repository=${repository%:*}
    if aws ecr describe-images --repository-name "$repository" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
        echo "image: $tag is there already"
        return
    fi
    echo "image: building $tag on $ENGINE_IMAGE"
    core=$(mktemp -d)
    curl -fsSL -o "$core/layer.zip" \
        "$(aws lambda get-layer-version-by-arn --arn "$CORE_LAYER" --query Content.Location --output text)"
    unzip -q "$core/layer.zip" 'python/batchmill/*' -d "$core"
    # Before the build: the engine's image may be a copy in the same registry.
    aws ecr get-login-password | docker login --username AWS --password-stdin "$registry"
    docker build --platform linux/amd64 --progress plain --provenance=false --build-arg "ENGINE_IMAGE=$ENGINE_IMAGE" \
        --build-context "core=$core/python" --tag "$IMAGE" "$here"
    docker push --quiet "$IMAGE"
    docker system prune --all --force >/dev/null  # the weights want the disk
}

# MODEL and REVISION on the hub, WEIGHTS: where they go, or empty. HF_TOKEN, where it is set, is the hub's library's.
weights() {
    if [ -z "$WEIGHTS" ]; then
        echo "weights: nothing to do, the stack was given them"
        return
    fi
    local environment
    environment=$(mktemp -d)
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --no-deps --require-hashes -r "$here/weights.txt"
    HF_XET_CHUNK_CACHE_SIZE_BYTES=0 "$environment/bin/python" "$here/weights.py" "$MODEL" "$REVISION" "$WEIGHTS"
}

case "${1:-}" in
    image | weights) "$1" ;;
    *) echo "usage: build.sh image|weights" >&2 && exit 2 ;;
esac
