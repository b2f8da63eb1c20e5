//! The package's device, as the library tells it what to do.

use futures::FutureExt;
use js_sys::{Promise as JsPromise, Reflect, Uint8Array};
use lookahead_wgpu::foreign::{self, Buffer, KernelText, Problem, Promise, Recorder};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// `Device` of `device.js`.
    #[derive(Debug, Clone)]
    pub type Device;
    /// A `GPUDevice`.
    #[wasm_bindgen(method, getter)]
    pub fn device(this: &Device) -> JsValue;
    /// Why it was lost.
    #[wasm_bindgen(method, getter)]
    pub fn lost(this: &Device) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = whenLost)]
    pub fn when_lost(this: &Device) -> JsPromise;
    #[wasm_bindgen(method)]
    pub fn limit(this: &Device, name: &str) -> f64;
    #[wasm_bindgen(method, js_name = isCpu)]
    pub fn is_cpu(this: &Device) -> bool;
    #[wasm_bindgen(method)]
    fn problem(this: &Device) -> JsValue;
    #[wasm_bindgen(method, catch)]
    fn layout(this: &Device, bindings: &[u32]) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn buffer(this: &Device, label: &str, size: f64, usage: u32) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn kernel(
        this: &Device,
        number: u32,
        name: &str,
        wgsl: &str,
        entry: &str,
        layouts: &[u32],
        constants: Vec<String>,
        values: &[u32],
        at_once: bool,
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn group(this: &Device, label: &str, layout: u32, entries: &[f64]) -> Result<u32, JsValue>;
    #[wasm_bindgen(method)]
    fn release(this: &Device, groups: &[u32], buffers: &[u32]);
    #[wasm_bindgen(method)]
    fn made(this: &Device) -> JsPromise;
    #[wasm_bindgen(method, catch)]
    fn write(this: &Device, buffer: u32, offset: f64, bytes: &[u8]) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn unpack(this: &Device, bytes: &[u8], targets: &[f64]) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn read(this: &Device, ranges: &[f64]) -> JsPromise;
    #[wasm_bindgen(method, catch)]
    fn begin(this: &Device) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn submit(this: &Device, encoder: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn words(
        this: &Device,
        encoder: &JsValue,
        buffer: u32,
        offset: f64,
        words: &[u32],
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn play(this: &Device, encoder: &JsValue, words: &[u32], is_own: bool) -> Result<(), JsValue>;
    /// The number of a buffer of the page's.
    #[wasm_bindgen(method)]
    fn adopt(this: &Device, buffer: &JsValue) -> u32;
    /// Lets go of the page's buffers but these.
    #[wasm_bindgen(method)]
    pub fn keep(this: &Device, numbers: &[u32]);
    #[wasm_bindgen(method, js_name = bufferOf)]
    pub fn buffer_of(this: &Device, number: u32) -> JsValue;
    #[wasm_bindgen(method)]
    pub fn destroy(this: &Device);

    /// `Opening` of `device.js`.
    pub type Opening;
    #[wasm_bindgen(method, js_name = isGiven)]
    pub fn is_given(this: &Opening) -> bool;
    /// On the page's device.
    #[wasm_bindgen(method, js_name = givenDevice)]
    pub fn given_device(this: &Opening) -> Device;
    #[wasm_bindgen(method)]
    fn open(this: &Opening, names: Vec<String>, values: &[f64]) -> JsPromise;
}

/// What JavaScript says of something that went wrong.
fn told(problem: &JsValue) -> Problem {
    let field = |name: &str| Reflect::get(problem, &name.into()).unwrap_or_default();
    let number = |name: &str| field(name).as_f64().unwrap_or_default() as u32;
    let message = field("message").as_string().unwrap_or_else(|| format!("{problem:?}"));
    match field("kind").as_string().as_deref() {
        Some("shader") => Problem::Shader { kernel: number("kernel"), line: number("line"), message },
        Some("memory") => Problem::OutOfMemory(message),
        Some("lost") => Problem::Lost(message),
        // Where there is no room for an array.
        None if field("name") == "RangeError" => Problem::OutOfMemory(message),
        _ => Problem::Refused(message),
    }
}

/// A promise's value.
fn promise<T: 'static>(promise: JsPromise, read: impl FnOnce(JsValue) -> T + 'static) -> Promise<T> {
    // It is heard of from now on, whether somebody waits for it or not.
    let future = JsFuture::from(promise);
    async { future.await.map(read).map_err(|problem| told(&problem)) }.boxed_local()
}

impl Opening {
    /// A device with limits of at least these values.
    pub async fn device(&self, limits: &[(String, f64)]) -> Result<Device, JsValue> {
        let names = limits.iter().map(|(name, _)| name.clone()).collect();
        let values: Vec<_> = limits.iter().map(|(_, value)| *value).collect();
        Ok(JsFuture::from(self.open(names, &values)).await?.unchecked_into())
    }
}

impl Device {
    /// What went wrong since the last call.
    pub fn take_problem(&self) -> Option<Problem> {
        let problem = self.problem();
        (!problem.is_undefined()).then(|| told(&problem))
    }

    /// A buffer of the page's.
    pub fn given(&self, buffer: &JsValue) -> Buffer {
        let field = |name: &str| Reflect::get(buffer, &name.into()).ok().and_then(|value| value.as_f64());
        let (size, usage) = (field("size").unwrap_or_default(), field("usage").unwrap_or_default());
        Buffer { number: self.adopt(buffer), size: size as u64, usage: usage as u32 }
    }

    /// An encoder of our own.
    pub fn encoder(&self) -> Result<Encoder, Problem> {
        let encoder = self.begin().map_err(|problem| told(&problem))?;
        Ok(Encoder { device: self.clone(), encoder, is_own: true })
    }

    /// The page's encoder.
    pub fn encoder_of(&self, encoder: JsValue) -> Encoder {
        Encoder { device: self.clone(), encoder, is_own: false }
    }
}

/// What commands are recorded into.
#[derive(Debug)]
pub struct Encoder {
    device: Device,
    encoder: JsValue,
    is_own: bool,
}

impl Encoder {
    /// Submits what was recorded, if that is not the page's to do.
    pub fn submit(self) -> Result<(), Problem> {
        if !self.is_own {
            return Ok(());
        }
        self.device.submit(&self.encoder).map_err(|problem| told(&problem))
    }
}

impl Recorder for Encoder {
    fn is_own(&self) -> bool {
        self.is_own
    }

    fn words(&self, buffer: u32, offset: u64, words: &[u32]) -> Result<(), Problem> {
        self.device.words(&self.encoder, buffer, offset as f64, words).map_err(|problem| told(&problem))
    }

    fn play(&self, words: &[u32]) -> Result<(), Problem> {
        self.device.play(&self.encoder, words, self.is_own).map_err(|problem| told(&problem))
    }
}

impl foreign::Device for Device {
    type Encoder = Encoder;

    fn layout(&self, bindings: &[u32]) -> Result<(), Problem> {
        self.layout(bindings).map_err(|problem| told(&problem))
    }

    fn buffer(&self, label: &str, size: u64, usage: u32) -> Result<u32, Problem> {
        self.buffer(label, size as f64, usage).map_err(|problem| told(&problem))
    }

    fn kernel(
        &self,
        number: u32,
        KernelText { name, wgsl, entry }: KernelText<'_>,
        layouts: &[u32],
        constants: &[(&str, u32)],
        at_once: bool,
    ) -> Result<(), Problem> {
        let names = constants.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values: Vec<_> = constants.iter().map(|(_, value)| *value).collect();
        let begun = self.kernel(number, name, wgsl, entry, layouts, names, &values, at_once);
        begun.map_err(|problem| told(&problem))
    }

    fn group(&self, label: &str, layout: u32, entries: &[f64]) -> Result<u32, Problem> {
        self.group(label, layout, entries).map_err(|problem| told(&problem))
    }

    fn release(&self, groups: &[u32], buffers: &[u32]) {
        self.release(groups, buffers);
    }

    fn made(&self) -> Promise<()> {
        promise(self.made(), |_| ())
    }

    fn write(&self, buffer: u32, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        self.write(buffer, offset as f64, bytes).map_err(|problem| told(&problem))
    }

    fn unpack(&self, bytes: &[u8], targets: &[f64]) -> Result<(), Problem> {
        self.unpack(bytes, targets).map_err(|problem| told(&problem))
    }

    fn read(&self, ranges: &[f64]) -> Promise<Vec<u8>> {
        promise(self.read(ranges), |bytes| bytes.unchecked_into::<Uint8Array>().to_vec())
    }
}
