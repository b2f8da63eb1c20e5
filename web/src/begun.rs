//! Promises whose work begins at the call. Those of wasm-bindgen begin after the code that made them, which may have
//! taken a step by then.

use std::{
    future::Future,
    task::{Context, Poll, Waker},
};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;

pub fn begun(future: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let mut future = Box::pin(future);
    // Whom it would wake here is replaced when the promise polls it.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => Promise::resolve(&value),
        Poll::Ready(Err(problem)) => Promise::reject(&problem),
        Poll::Pending => future_to_promise(future),
    }
}
