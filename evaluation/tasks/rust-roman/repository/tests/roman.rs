#[path = "../roman.rs"]
mod roman;

#[test]
fn small_numbers() {
    assert_eq!(roman::roman(3), "III");
    assert_eq!(roman::roman(4), "IV");
    assert_eq!(roman::roman(9), "IX");
    assert_eq!(roman::roman(16), "XVI");
}
