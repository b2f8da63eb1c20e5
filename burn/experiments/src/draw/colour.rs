//! Colours, which differ for every kind of sight (Okabe and Ito, 2008) and in grey.

use plotters::style::RGBColor;

pub const INK: RGBColor = RGBColor(0, 0, 0);
pub const FAINT: RGBColor = RGBColor(95, 95, 95);
pub const RULE: RGBColor = RGBColor(225, 225, 225);
/// Of what has no value.
pub const NONE: RGBColor = RGBColor(222, 222, 222);
pub const PAPER: RGBColor = RGBColor(255, 255, 255);

/// Slow weights.
pub const SLOW: RGBColor = RGBColor(0, 72, 132);
/// Fast weights.
pub const FAST: RGBColor = RGBColor(86, 180, 233);
/// Slow weights on a map, which is blue itself.
pub const SLOW_ON_MAP: RGBColor = RGBColor(213, 60, 0);

/// Of methods with Lookahead, in turn: one hue.
pub const LOOKAHEAD: [RGBColor; 4] =
    [SLOW, RGBColor(60, 150, 215), RGBColor(0, 112, 190), RGBColor(130, 195, 240)];
/// Of others, in turn.
pub const ALONE: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(100, 100, 100),
    RGBColor(230, 159, 0),
    RGBColor(110, 60, 30),
];

/// Viridis (Smith, van der Walt, 2015) at eighths.
const VIRIDIS: [[f64; 3]; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

/// The colour of a place from 0 to 1.
pub fn map(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * 8.0;
    let below = (place.floor() as usize).min(7);
    let [from, to] = [VIRIDIS[below], VIRIDIS[below + 1]];
    let mixed = |i: usize| (from[i] + (to[i] - from[i]) * (place - below as f64)).round() as u8;
    RGBColor(mixed(0), mixed(1), mixed(2))
}

/// What can be read on a colour.
pub fn on(colour: RGBColor) -> RGBColor {
    let RGBColor(red, green, blue) = colour;
    let light = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    if light > 130.0 { INK } else { PAPER }
}
