// Packs a tensor's values in blocks of 128, and unpacks their mean. wire.rs says what each format is; the bits are the
// same. Before this text stand FORMAT (0: f32, 1: bf16, 2: f16, 3: int8) and DIFFERS (differences to the base are sent).

struct Tensor {
    len: u32,   // values
    first: u32, // its first block
    columns: u32, // workgroups in x
    remembered: u32, // not read here
}

const BLOCK = 128u;

@group(0) @binding(0) var<uniform> tensor: Tensor;
// Bits, since f32 may lose subnormal numbers where nothing is computed.
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read> base: array<u32>;
@group(0) @binding(3) var<storage, read_write> packed: array<u32>;
@group(0) @binding(4) var<storage, read_write> kept: array<f32>;
@group(0) @binding(5) var<storage, read_write> broken: atomic<u32>;

fn to_send(i: u32) -> u32 {
    if i >= tensor.len {
        return 0u;
    }
    if DIFFERS {
        return bitcast<u32>(bitcast<f32>(values[i]) - bitcast<f32>(base[i]));
    }
    return values[i];
}

fn block_of(group: vec3u) -> u32 {
    return group.y * tensor.columns + group.x;
}

// Whether all is finite.
@compute @workgroup_size(BLOCK)
fn look(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let bits = to_send(block_of(group) * BLOCK + local);
    if (bits & 0x7f800000u) == 0x7f800000u {
        atomicOr(&broken, 1u);
    }
}

var<workgroup> shared_bits: array<u32, BLOCK>;
var<workgroup> largest: array<u32, BLOCK>;

@compute @workgroup_size(BLOCK)
fn pack(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let block = block_of(group);
    let is_there = block * BLOCK < tensor.len;
    let bits = to_send(block * BLOCK + local);
    let at = tensor.first + block;
    if FORMAT == 0u {
        if is_there {
            packed[at * BLOCK + local] = bits;
        }
        return;
    }
    if FORMAT == 3u {
        pack_int8(at, is_there, bitcast<f32>(bits), local);
        return;
    }
    if FORMAT == 1u {
        shared_bits[local] = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
    } else {
        shared_bits[local] = f16_bits(bits);
    }
    workgroupBarrier();
    if is_there && local < BLOCK / 2u {
        packed[at * BLOCK / 2u + local] = shared_bits[2u * local] | (shared_bits[2u * local + 1u] << 16u);
    }
}

fn pack_int8(at: u32, is_there: bool, value: f32, local: u32) {
    let place = at * BLOCK + local;
    var whole = 0.0;
    if is_there {
        whole = kept[place] + value;
    }
    largest[local] = bitcast<u32>(whole) & 0x7fffffffu;
    workgroupBarrier();
    for (var half = BLOCK / 2u; half > 0u; half /= 2u) {
        if local < half {
            largest[local] = max(largest[local], largest[local + half]);
        }
        workgroupBarrier();
    }
    // The least power of two of which 127 suffice.
    let most = largest[0];
    let biased = (most >> 23u) + select(0u, 1u, (most & 0x7fffffu) > 0x7e0000u);
    var scale = 0.0;
    var inverse = 0.0;
    if biased >= 33u && biased <= 255u {
        scale = bitcast<f32>((biased - 6u) << 23u);
        inverse = bitcast<f32>((260u - biased) << 23u);
    }
    let q = clamp(round(whole * inverse), -127.0, 127.0);
    shared_bits[local] = bitcast<u32>(i32(q)) & 0xffu;
    if is_there {
        kept[place] = whole - q * scale;
    }
    workgroupBarrier();
    let start = at * (1u + BLOCK / 4u);
    if is_there && local == 0u {
        packed[start] = bitcast<u32>(scale);
    }
    if is_there && local < BLOCK / 4u {
        let j = 4u * local;
        packed[start + 1u + local] =
            shared_bits[j] | (shared_bits[j + 1u] << 8u) | (shared_bits[j + 2u] << 16u) | (shared_bits[j + 3u] << 24u);
    }
}

// f32 to f16, to the nearest, ties to even, subnormal numbers too; beyond 65504 it saturates.
fn f16_bits(bits: u32) -> u32 {
    let sign = (bits >> 16u) & 0x8000u;
    let size = min(bits & 0x7fffffffu, 0x477fe000u);
    let exponent = size >> 23u;
    if exponent < 102u {
        return sign;
    }
    var significand = size & 0x7fffffu;
    var shift = 13u;
    var half = (exponent - 112u) << 10u;
    if exponent < 113u {
        significand |= 0x800000u;
        shift = 126u - exponent;
        half = 0u;
    }
    half += significand >> shift;
    let rest = significand & ((1u << shift) - 1u);
    let middle = 1u << (shift - 1u);
    if rest > middle || (rest == middle && (half & 1u) == 1u) {
        half += 1u;
    }
    return sign | half;
}
