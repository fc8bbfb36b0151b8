//! Decisions made from bytes. When no byte is left, each decision is the first one, so every target ends.

/// The bytes that are left.
pub struct Input<'a>(&'a [u8]);

/// Texts that mean something to YAML, JSON, a shell, Go or Kubernetes, or that are hard to show.
const TEXTS: [&str; 44] = [
    "",
    " ",
    "a",
    "0",
    "-1",
    "null",
    "~",
    "yes",
    "true",
    "0x1F",
    "1e3",
    "012",
    "12:30:45",
    "2026-01-01",
    "- a",
    "a: b",
    "? a",
    "{a: b}",
    "[a]",
    "#",
    "a #b",
    "&a",
    "*a",
    "!!int 1",
    "|",
    ">",
    "%YAML 1.2",
    "---",
    "...",
    "'",
    "\"",
    "\\",
    "a\nb: c",
    "\n",
    "\t",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{feff}a",
    "\u{0}",
    "\u{7f}",
    "${HOME} $(A) {{ .x }}",
    "\nadmin:\n  username: 'eve'\n",
    "\u{202e}\u{1b}[31m",
];
/// Lengths at which something is cut or refused.
const LENGTHS: [usize; 8] = [15, 51, 52, 63, 64, 253, 1025, 20_000];

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is at most 65,536.
    pub fn below(&mut self, end: usize) -> usize {
        if end <= 1 {
            return 0;
        }
        let low = usize::from(self.byte());
        let number = if end > 256 {
            low << 8 | usize::from(self.byte())
        } else {
            low
        };
        number % end
    }

    /// True in one of `times` cases.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// Some bytes as they are.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.below(64).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    pub fn number(&mut self) -> i64 {
        let edges = [
            0,
            1,
            -1,
            2049,
            8080,
            12049,
            65535,
            65536,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            i64::MAX,
            i64::MIN,
        ];
        if self.one_in(2) {
            *self.pick(&edges)
        } else {
            i64::try_from(self.below(65_536)).unwrap_or(0) - 100
        }
    }

    /// A hostile text.
    pub fn text(&mut self) -> String {
        match self.below(6) {
            0..3 => (*self.pick(&TEXTS)).to_owned(),
            3 => String::from_utf8_lossy(self.bytes()).into_owned(),
            4 => {
                let character = *self.pick(&['x', '-', 'é', '\u{0}', '😀', '\n']);
                let length = *self.pick(&LENGTHS);
                std::iter::repeat_n(character, length).collect()
            }
            _ => format!("{}{}{}", self.pick(&TEXTS), self.pick(&TEXTS), self.pick(&TEXTS)),
        }
    }
}
