//! A sliding window that counts hits among events: the arithmetic under breaker and guard.

/// Slices a window is cut into. The window forgets slice by slice, so its true length is
/// between nine tenths and the whole of what was asked.
const SLICES: i64 = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    number: i64,
    events: u32,
    hits: u32,
}

/// What a [`Window`] holds at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub events: u32,
    pub hits: u32,
}

impl Seen {
    /// Share of hits, in `[0, 1]`; zero when nothing was seen.
    pub fn share(self) -> f64 {
        if self.events == 0 { 0.0 } else { f64::from(self.hits) / f64::from(self.events) }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Window {
    slice_ms: i64,
    slices: [Slice; SLICES as usize],
}

impl Window {
    /// `length_ms` below ten is taken as ten: a slice is at least a millisecond.
    pub fn new(length_ms: i64) -> Self {
        Self { slice_ms: (length_ms / SLICES).max(1), slices: Default::default() }
    }

    pub fn add(&mut self, hit: bool, now_ms: i64) {
        let number = now_ms.div_euclid(self.slice_ms);
        let slice = &mut self.slices[number.rem_euclid(SLICES) as usize];
        // Only a newer slice replaces: a clock set back counts into what is there.
        if number > slice.number || slice.events == 0 {
            *slice = Slice { number, ..Slice::default() };
        }
        slice.events = slice.events.saturating_add(1);
        slice.hits = slice.hits.saturating_add(u32::from(hit));
    }

    pub fn seen(&self, now_ms: i64) -> Seen {
        let newest = now_ms.div_euclid(self.slice_ms);
        self.slices.iter().filter(|slice| slice.number > newest - SLICES).fold(
            Seen::default(),
            |seen, slice| Seen {
                events: seen.events.saturating_add(slice.events),
                hits: seen.hits.saturating_add(slice.hits),
            },
        )
    }

    pub fn clear(&mut self) {
        self.slices = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the obvious model: keep everything, count what lies in the last ten slices.
        #[test]
        fn a_window_counts_what_the_last_ten_slices_hold(
            length_ms in 10_i64..5_000,
            steps in prop::collection::vec((0_i64..2_000, any::<bool>()), 1..200),
        ) {
            let mut window = Window::new(length_ms);
            let slice_ms = length_ms / SLICES;
            let mut events: Vec<(i64, bool)> = Vec::new();
            let mut now = 1_700_000_000_000;
            for (step, hit) in steps {
                now += step;
                window.add(hit, now);
                events.push((now, hit));
                let oldest = (now / slice_ms - SLICES + 1) * slice_ms;
                let inside = events.iter().filter(|(at, _)| *at >= oldest);
                let expected = Seen {
                    events: inside.clone().count() as u32,
                    hits: inside.filter(|(_, hit)| *hit).count() as u32,
                };
                prop_assert_eq!(window.seen(now), expected);
            }
        }
    }

    #[test]
    fn a_whole_length_later_nothing_is_left() {
        let mut window = Window::new(1_000);
        window.add(true, 5_000);
        assert_eq!(window.seen(5_000), Seen { events: 1, hits: 1 });
        assert_eq!(window.seen(6_000), Seen::default());
    }

    #[test]
    fn the_share_of_nothing_is_zero() {
        assert_eq!(Seen::default().share(), 0.0);
    }
}
