//! What the figures are made of: coordinates, scales, and paths that hold many marks at once.
//!
//! A figure's coordinates are pixels of a canvas [`WIDTH`] wide, which the page scales. Colours are the style sheet's
//! affair: shapes name a class.

use keelhaul_checkers::Nanos;

/// Every figure's width.
pub(super) const WIDTH: f64 = 1200.0;

/// A coordinate as text: a tenth of a pixel is finer than any eye.
pub(super) fn px(coordinate: f64) -> String {
    let tenths = (coordinate * 10.0).round() as i64;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        _ => format!("{:.1}", tenths as f64 / 10.0),
    }
}

/// About how wide a text of the figures' common size (11 px) is.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.1
}

/// Many marks of one look in one element.
#[derive(Debug, Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let (x, y, width, height) = (px(x), px(y), px(width), px(height));
        self.0
            .push_str(&format!("M{x} {y}h{width}v{height}h-{width}z"));
    }

    /// A stroke without length: round caps make it a dot.
    pub(super) fn dot(&mut self, x: f64, y: f64) {
        self.0.push_str(&format!("M{} {}h0", px(x), px(y)));
    }

    pub(super) fn cross(&mut self, x: f64, y: f64) {
        self.0
            .push_str(&format!("M{} {}l5 5m0 -5l-5 5", px(x - 2.5), px(y - 2.5)));
    }

    /// A line through these points.
    pub(super) fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>) {
        for (place, (x, y)) in points.into_iter().enumerate() {
            let verb = if place == 0 { 'M' } else { 'L' };
            self.0.push_str(&format!("{verb}{} {}", px(x), px(y)));
        }
    }

    /// Joins a closed form of this line there and that line back.
    pub(super) fn area(&mut self, upper: &[(f64, f64)], lower: &[(f64, f64)]) {
        if upper.is_empty() {
            return;
        }
        self.line(upper.iter().chain(lower.iter().rev()).copied());
        self.0.push('z');
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `d` of the element.
    pub(super) fn data(&self) -> &str {
        &self.0
    }
}

/// Time from left to right.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeScale {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) end: Nanos,
}

impl TimeScale {
    pub(super) fn x(&self, at: Nanos) -> f64 {
        let share = at.0 as f64 / self.end.0.max(1) as f64;
        self.left + share.min(1.0) * (self.right - self.left)
    }

    /// Moments for the axis, in whole seconds, and far enough from each other to be read.
    pub(super) fn ticks(&self) -> Vec<Nanos> {
        const STEPS: [u64; 14] = [
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400,
        ];
        let seconds = self.end.0 as f64 / 1e9;
        let most = (self.right - self.left) / 70.0;
        let step = STEPS
            .into_iter()
            .find(|step| seconds / *step as f64 <= most)
            .unwrap_or(86_400);
        (0..=(seconds as u64) / step)
            .map(|tick| Nanos(tick * step * 1_000_000_000))
            .collect()
    }
}

/// A range of values from bottom to top.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// A linear scale from zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    frame: Frame,
    step: f64,
    steps: u32,
}

impl Linear {
    /// A scale with three to five round steps that holds this much.
    pub(super) fn holding(most: f64, frame: Frame) -> Linear {
        let raw = most.max(1.0) / 4.0;
        let magnitude = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * magnitude)
            .find(|step| *step >= raw)
            .unwrap_or(10.0 * magnitude)
            .max(1.0);
        Linear {
            frame,
            step,
            steps: (most / step).ceil().max(1.0) as u32,
        }
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let share = value / (self.step * f64::from(self.steps));
        self.frame.bottom - share * (self.frame.bottom - self.frame.top)
    }

    pub(super) fn ticks(&self) -> Vec<f64> {
        (0..=self.steps)
            .map(|tick| f64::from(tick) * self.step)
            .collect()
    }
}

/// A logarithmic scale of durations, in whole decades.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logarithmic {
    frame: Frame,
    low: i32,
    high: i32,
}

impl Logarithmic {
    /// A scale that holds these durations, two decades at least.
    pub(super) fn holding(least: Nanos, most: Nanos, frame: Frame) -> Logarithmic {
        let exponent = |time: Nanos| (time.0.max(1) as f64).log10();
        let low = exponent(least).floor() as i32;
        let high = (exponent(most).ceil() as i32).max(low + 2);
        Logarithmic { frame, low, high }
    }

    pub(super) fn y(&self, time: Nanos) -> f64 {
        let share = ((time.0.max(1) as f64).log10() - f64::from(self.low))
            / f64::from(self.high - self.low);
        self.frame.bottom - share.clamp(0.0, 1.0) * (self.frame.bottom - self.frame.top)
    }

    /// The decades.
    pub(super) fn ticks(&self) -> Vec<Nanos> {
        (self.low..=self.high)
            .map(|power| Nanos(10u64.saturating_pow(power.max(0) as u32)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        top: 0.0,
        bottom: 100.0,
    };

    #[test]
    fn a_linear_scale_has_round_steps_and_holds_the_most() {
        for most in [0.0, 1.0, 7.0, 99.0, 2_431.0, 180_000.0] {
            let scale = Linear::holding(most, FRAME);
            assert!(scale.y(most) >= 0.0, "{most} fits");
            assert!((2..=6).contains(&scale.ticks().len()), "{most}");
        }
        assert_eq!(
            Linear::holding(2_431.0, FRAME).ticks(),
            [0.0, 1_000.0, 2_000.0, 3_000.0]
        );
    }

    #[test]
    fn decades_hold_least_and_most() {
        let scale = Logarithmic::holding(Nanos(300_000), Nanos(4_000_000_000), FRAME);
        assert_eq!(scale.ticks().first(), Some(&Nanos(100_000)));
        assert_eq!(scale.ticks().last(), Some(&Nanos(10_000_000_000)));
        assert_eq!(scale.y(Nanos(10_000_000_000)), 0.0);
    }

    #[test]
    fn ticks_of_time_stay_apart() {
        for seconds in [1, 35, 610, 40_000] {
            let scale = TimeScale {
                left: 60.0,
                right: 1190.0,
                end: Nanos(seconds * 1_000_000_000),
            };
            let ticks = scale.ticks();
            let apart = ticks
                .windows(2)
                .all(|pair| scale.x(pair[1]) - scale.x(pair[0]) >= 69.0);
            assert!(apart && ticks.len() >= 2, "{seconds} s: {ticks:?}");
        }
    }
}
