//! Roman numerals.

const LETTERS: [(u32, &str); 7] = [
    (1000, "M"),
    (500, "D"),
    (100, "C"),
    (50, "L"),
    (10, "X"),
    (5, "V"),
    (1, "I"),
];

/// Returns the number in Roman numerals.
pub fn roman(mut number: u32) -> String {
    let mut text = String::new();
    for (value, letter) in LETTERS {
        while number >= value {
            text.push_str(letter);
            number -= value;
        }
    }
    text
}
