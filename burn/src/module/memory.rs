//! The memory of Burn's tensors on wgpu: out of them and back into them.

use std::{any::Any, fmt::Display};

use burn::{
    backend::Cube,
    tensor::{PrimitiveConversionError, Tensor},
};
use burn_cubecl::{
    cubecl::wgpu::{AutoCompiler, WgpuServer},
    kernel::into_contiguous,
    tensor::CubeTensor,
};
use lookahead_wgpu::{Slice, wgpu};

use crate::error::Error;

/// The server of every device of Burn's on wgpu, whatever its shaders are compiled to.
type Server = WgpuServer<AutoCompiler>;

/// A tensor's memory, which is neither freed nor moved as long as this is there.
pub(super) struct Held {
    /// CubeCL's hold on the memory, of a type that it does not export.
    _memory: Box<dyn Any + Send>,
    slice: Slice,
}

impl Held {
    /// Where the memory lies.
    pub(super) fn slice(&self) -> Slice {
        self.slice.clone()
    }
}

/// Holds tensors where they are. All that was to be done with them before has been submitted then.
pub(super) fn hold(tensors: &[CubeTensor]) -> Result<Vec<Held>, Error> {
    let Some(first) = tensors.first() else { return Ok(vec![]) };
    let hold = |tensor: &CubeTensor| {
        let memory = tensor.client.get_resource::<Server>(tensor.handle.clone()).map_err(burn)?;
        let bytes = 4 * tensor.meta.shape().num_elements() as u64;
        let slice = Slice::new(&memory.resource().buffer, memory.resource().offset, bytes);
        Ok(Held { _memory: Box::new(memory), slice })
    };
    // Where a thread of the device's does it, that is asked once, not once a tensor.
    first.client.exclusive(|| tensors.iter().map(hold).collect()).map_err(burn)?
}

/// Copies what lies in these slices, one after the other, to the place of a tensor that is held.
pub(super) fn copy(encoder: &mut wgpu::CommandEncoder, sources: &[Slice], target: &Slice) {
    let mut offset = target.offset;
    for source in sources {
        encoder.copy_buffer_to_buffer(
            &source.buffer,
            source.offset,
            &target.buffer,
            offset,
            Some(source.size),
        );
        offset += source.size;
    }
}

fn burn(problem: impl Display) -> Error {
    Error::Burn(problem.to_string())
}

fn elsewhere(problem: PrimitiveConversionError) -> Error {
    Error::Burn(format!("a tensor is not on wgpu, where its memory could be had: {problem:?}"))
}

/// A tensor's memory with its values one after the other.
pub(super) fn contiguous<const D: usize>(tensor: Tensor<D>) -> Result<CubeTensor, Error> {
    Ok(into_contiguous(to_cube(tensor)?))
}

/// A tensor's memory that nothing else refers to: a copy, unless that is so and none is asked for. Also says whether it is one.
pub(super) fn unique<const D: usize>(tensor: Tensor<D>, copy: bool) -> Result<(CubeTensor, bool), Error> {
    let tensor = contiguous(tensor)?;
    Ok(if copy || !tensor.can_mut() { (tensor.copy(), true) } else { (tensor, false) })
}

#[cfg(not(feature = "fusion"))]
fn to_cube<const D: usize>(tensor: Tensor<D>) -> Result<CubeTensor, Error> {
    tensor.try_into_primitive::<Cube>().map_err(elsewhere)
}

/// The tensor of this memory.
#[cfg(not(feature = "fusion"))]
pub(super) fn tensor<const D: usize>(memory: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(memory)
}

#[cfg(feature = "fusion")]
fn to_cube<const D: usize>(tensor: Tensor<D>) -> Result<CubeTensor, Error> {
    let tensor = tensor.try_into_primitive::<Cube>().map_err(elsewhere)?;
    // Carries out what is still only noted down.
    Ok(tensor.client.clone().resolve_tensor_float::<burn_cubecl::CubeBackend>(tensor))
}

/// The tensor of this memory.
#[cfg(feature = "fusion")]
pub(super) fn tensor<const D: usize>(memory: CubeTensor) -> Tensor<D> {
    use burn::backend::{
        fusion::{
            NoOp,
            custom::{OperationIr, OperationOutput, StreamId},
            get_client,
        },
        ir::{BackendIr, InitOperationIr},
    };
    use burn_cubecl::CubeBackend;

    // As fusion itself makes tensors of data.
    let client = get_client::<CubeBackend>(&memory.device);
    let (shape, dtype) = (memory.meta.shape().clone(), memory.dtype);
    let handle = CubeBackend::float_tensor_handle(memory);
    let init = InitOperationIr::create(shape, dtype, || client.register_tensor_handle(handle));
    let made = client.register(StreamId::current(), OperationIr::Init(init), NoOp::<CubeBackend>::new());
    Tensor::from_primitive::<Cube>(made.output())
}
