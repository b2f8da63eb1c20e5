#!/bin/sh
# Runs the tests and the benchmarks of this folder on whatever adapters the machine has, and leaves logs and JSON in
# results/. Nothing is installed; what this folder brings is used where the machine has none.
#
#   ./run.sh                 everything
#   ./run.sh tests           or one of: tests, benches, pytorch
#   BENCH="--adapter nvidia --seconds 0.3" ./run.sh benches
cd "$(dirname "$0")" || exit 1
mkdir -p results

# The Vulkan loader, which finds the driver that is there, and what NVIDIA's driver needs besides; the machine's own
# come first.
for library in libvulkan.so.1 libEGL.so.1 libGLX.so.0 libGL.so.1 libGLdispatch.so.0; do
    ldconfig -p 2>/dev/null | grep -q "$library" && continue
    export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$PWD/lib"
    break
done
# NVIDIA's driver in a container may lie where the loader does not look.
container=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -z "$VK_DRIVER_FILES" ] && [ -e "$container" ] && ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1; then
    export VK_DRIVER_FILES="$container"
fi

status=0
step() { # NAME COMMAND...
    name=$1
    shift
    printf '\n==> %s\n' "$name"
    "$@" >"results/$name.txt" 2>"results/$name.log" || { status=1; echo "FAILED: results/$name.log"; tail -n 20 "results/$name.log"; }
    cat "results/$name.txt"
}

case "${1:-all}" in
all | tests) LOOKAHEAD_GOLDEN="$PWD/golden" step tests ./tests --skip examples ;;
esac
case "${1:-all}" in
# shellcheck disable=SC2086
all | benches) step benches ./bench --json results/benches.json $BENCH ;;
esac
case "${1:-all}" in
all | pytorch)
    if python3 -c 'import torch' 2>/dev/null; then
        step pytorch python3 pytorch.py --json results/pytorch.json
    else
        echo "no PyTorch here: its figures are left out"
    fi
    ;;
all | tests | benches) ;;
*) echo "unknown: $1; give tests, benches or pytorch" && exit 2 ;;
esac
exit $status
