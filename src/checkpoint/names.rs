//! Names of tensors that come from elsewhere.

/// What PyTorch's wrappers put into the names of a model's parameters: `torch.compile`, activation checkpointing, and
/// fully sharded data parallelism in two versions.
const WRAPPERS: [&str; 4] =
    ["_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_fpw_module"];

/// What (distributed) data parallelism puts before all of them.
const PARALLEL: &str = "module";

/// A parameter's name without what PyTorch's wrappers put into it: `_orig_mod.` (`torch.compile`),
/// `_fsdp_wrapped_module.`, `_fpw_module.` and `_checkpoint_wrapped_module.` anywhere, `module.` (`DataParallel`,
/// `DistributedDataParallel`) at the beginning.
///
/// ```
/// use lookahead_wgpu::checkpoint::without_wrappers;
/// assert_eq!(without_wrappers("module._orig_mod.layer1.weight"), "layer1.weight");
/// assert_eq!(without_wrappers("blocks.0._orig_mod.mlp.weight"), "blocks.0.mlp.weight");
/// assert_eq!(without_wrappers("head.module.weight"), "head.module.weight");
/// ```
pub fn without_wrappers(name: &str) -> String {
    let mut parts = name.split('.').filter(|part| !WRAPPERS.contains(part)).peekable();
    while parts.next_if_eq(&PARALLEL).is_some() {}
    parts.collect::<Vec<_>>().join(".")
}
