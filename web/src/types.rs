//! The types that wasm-bindgen cannot know, for TypeScript.

use wasm_bindgen::prelude::wasm_bindgen;

/// Of the library's rules, as a test of theirs writes it.
#[wasm_bindgen(typescript_custom_section)]
const RULES: &str = include_str!("rules.d.ts");

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(typescript_type = "OptimizerOptions")]
    pub type OptimizerOptions;
    #[wasm_bindgen(typescript_type = "GPUDevice")]
    pub type GpuDevice;
    #[wasm_bindgen(typescript_type = "GPUCommandEncoder")]
    pub type PageEncoder;
    #[wasm_bindgen(typescript_type = "BorrowedTensor[]")]
    pub type BorrowedTensors;
    #[wasm_bindgen(typescript_type = "BufferSlice[]")]
    pub type BufferSlices;
    #[wasm_bindgen(typescript_type = "Field")]
    pub type FieldName;
}
