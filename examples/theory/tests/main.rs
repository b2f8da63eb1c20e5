//! The generator, the simulation against the exact recursions and spectral radii, the figures and the command line.
//!
//! All seeds are fixed, so that a test that passes on an adapter passes there always. Bounds are stated in standard
//! errors: 5 for the largest of up to some thousand deviations (a chance of 6e-7 each), and the mean of their squares
//! near 1.

mod command_line;
mod contractions;
mod figures;
mod generator;
mod simulation;

/// Held by each test that uses every adapter: wgpu gives an OpenGL context up that another thread holds for long.
fn turn() -> impl Drop {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The largest deviation must be below 5 standard errors, and the mean square within `room` of 1.
#[track_caller]
fn assert_normal(what: &str, deviations: &[f64], room: f64) {
    let largest = deviations.iter().fold(0.0, |largest: f64, z| largest.max(z.abs()));
    let mean = deviations.iter().map(|z| z * z).sum::<f64>() / deviations.len() as f64;
    println!("{what}: {} deviations, largest {largest:.2}, mean square {mean:.3}", deviations.len());
    assert!(largest < 5.0, "{what}: {largest} standard errors");
    assert!((mean - 1.0).abs() < room, "{what}: the mean square of the deviations is {mean}");
}
