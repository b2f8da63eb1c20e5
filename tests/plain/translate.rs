//! Every kernel that the rules can need, translated by naga to what each backend of wgpu takes: SPIR-V
//! (Vulkan), HLSL (Direct3D 12), MSL (Metal) and GLSL ES 3.10 (OpenGL).

use crate::sources;
use naga::{
    Module, ShaderStage,
    back::{PipelineConstants, glsl, hlsl, msl, pipeline_constants::process_overrides, spv},
    proc::BoundsCheckPolicies,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};

#[test]
fn every_kernel_is_spirv_with_its_entry_point_and_workgroup_size() {
    for_every_kernel(|entry, workgroup, module, info| {
        let (options, pipeline) = (spv::Options::default(), spirv_pipeline(entry));
        let words = spv::write_vec(module, info, &options, Some(&pipeline)).unwrap();
        assert_eq!(words[0], 0x0723_0203, "the magic number");
        let name = format!("{entry}\0");
        let named = |words: &[u32]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.starts_with(name.as_bytes())
        };
        // OpEntryPoint GLCompute, function, name; OpExecutionMode function, LocalSize x y z.
        let points: Vec<_> = instructions(&words, 15).filter(|args| args[0] == 5).collect();
        assert!(points.len() == 1 && named(&points[0][2..]), "{points:?}");
        let sizes: Vec<_> = instructions(&words, 16).filter(|args| args[1] == 17).collect();
        assert_eq!(sizes, [&[points[0][1], 17, workgroup, 1, 1]]);
    });
}

#[test]
fn every_kernel_is_hlsl_of_shader_models_5_1_and_6_0() {
    for_every_kernel(|entry, workgroup, module, info| {
        for shader_model in [hlsl::ShaderModel::V5_1, hlsl::ShaderModel::V6_0] {
            let options = hlsl::Options { shader_model, ..Default::default() };
            let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.into())) };
            let mut text = String::new();
            let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None);
            let names = written.unwrap().entry_point_names;
            let [Ok(name)] = names.as_slice() else { panic!("{names:?}") };
            let head = format!("[numthreads({workgroup}, 1, 1)]\nvoid {name}(");
            assert!(text.contains(&head), "no `{head}` in\n{text}");
        }
    });
}

#[test]
fn every_kernel_is_msl() {
    for_every_kernel(|entry, _, module, info| {
        let options = msl::Options::default();
        let entry_point = Some((ShaderStage::Compute, entry.to_owned()));
        let pipeline = msl::PipelineOptions { entry_point, ..Default::default() };
        let (text, written) = msl::write_string(module, info, &options, &pipeline).unwrap();
        let [Ok(name)] = written.entry_point_names.as_slice() else { panic!("{written:?}") };
        // The workgroup size is the dispatch's in Metal.
        let head = format!("kernel void {name}(");
        assert!(text.contains(&head), "no `{head}` in\n{text}");
    });
}

#[test]
fn every_kernel_is_glsl_es_3_10() {
    for_every_kernel(|entry, workgroup, module, info| {
        let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
        let pipeline = glsl::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: entry.to_owned(),
            multiview: None,
        };
        let mut text = String::new();
        let policies = BoundsCheckPolicies::default();
        let writer = glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies);
        writer.unwrap().write().unwrap();
        let size = format!("layout(local_size_x = {workgroup}, local_size_y = 1, local_size_z = 1) in;");
        for expected in ["#version 310 es", &size, "void main()"] {
            assert!(text.contains(expected), "no `{expected}` in\n{text}");
        }
    });
}

#[test]
fn each_two_options_are_in_some_case() {
    sources::pairs::check_that_each_pair_is_covered();
}

/// A rule may give its helpers any name that is not on the list, and may call all of WGSL's functions.
#[test]
fn every_name_of_the_drivers_begins_with_la_or_is_on_the_list() {
    use lookahead_wgpu::kernels::{BUILTINS, NAMES};
    assert!(!NAMES.iter().any(|name| BUILTINS.contains(name)));
    let mut seen = std::collections::BTreeSet::new();
    for source in sources::all().chain(sources::of_tasks()).chain(sources::anderson()) {
        let module = naga::front::wgsl::parse_str(&source.wgsl).unwrap();
        let constants = module.constants.iter().map(|(_, constant)| &constant.name);
        let overrides = module.overrides.iter().map(|(_, value)| &value.name);
        let variables = module.global_variables.iter().map(|(_, variable)| &variable.name);
        let functions = module.functions.iter().map(|(_, function)| &function.name);
        let types = module.types.iter().map(|(_, ty)| &ty.name);
        let all =
            constants.chain(overrides).chain(variables).chain(functions).chain(types).flatten().cloned();
        let entries = module.entry_points.iter().map(|entry| entry.name.clone());
        let aliases = source.wgsl.lines().filter_map(|line| line.strip_prefix("alias "));
        let aliases = aliases.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()));
        for name in all.chain(entries).chain(aliases) {
            // LAMB has a helper of its own, and a transformation of a user's is there.
            let is_known = NAMES.contains(&name.as_str())
                || ["direction", "everything", "everything_scale"].contains(&name.as_str());
            assert!(is_known || name.to_lowercase().starts_with("la_"), "{}: `{name}`", source.name);
            seen.insert(name);
        }
    }
    assert!(NAMES.iter().all(|name| seen.contains(*name)), "not all of the list is there: {seen:?}");
    assert!(seen.len() > 120, "{} names", seen.len());
}

/// Calls `translate` with each kernel's entry point, a workgroup size, and the module in which that size
/// stands for the override.
fn for_every_kernel(translate: impl Fn(&str, u32, &Module, &ModuleInfo)) {
    for source in sources::all().chain(sources::of_tasks()).chain(sources::anderson()) {
        let module = naga::front::wgsl::parse_str(&source.wgsl)
            .unwrap_or_else(|error| panic!("{}: {}", source.name, error.emit_to_string(&source.wgsl)));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32);
        let info = validator
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {}", source.name, error.emit_to_string(&source.wgsl)));
        for constants in sources::constants(&source) {
            let workgroup = constants["LA_WORKGROUP"] as u32;
            let entry_point = Some((ShaderStage::Compute, source.entry));
            let constants: PipelineConstants =
                constants.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let (module, info) = process_overrides(&module, &info, entry_point, &constants)
                .unwrap_or_else(|error| panic!("{}: {error}", source.name));
            let sizes: Vec<_> = module.entry_points.iter().map(|entry| entry.workgroup_size).collect();
            assert_eq!(sizes, [[workgroup, 1, 1]], "{}", source.name);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                translate(source.entry, workgroup, &module, &info);
            }));
            if let Err(panic) = outcome {
                eprintln!("failed on {}", source.name);
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn spirv_pipeline(entry: &str) -> spv::PipelineOptions {
    spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.to_owned() }
}

/// The arguments of every instruction with this opcode. Behind the header of five words, an instruction's
/// first word holds its length in words and its opcode.
fn instructions(words: &[u32], opcode: u32) -> impl Iterator<Item = &[u32]> {
    let mut rest = &words[5..];
    let all = std::iter::from_fn(move || {
        let first = *rest.first()?;
        let (instruction, others) = rest.split_at((first >> 16) as usize);
        rest = others;
        Some((first & 0xffff, &instruction[1..]))
    });
    all.filter(move |(found, _)| *found == opcode).map(|(_, args)| args)
}
