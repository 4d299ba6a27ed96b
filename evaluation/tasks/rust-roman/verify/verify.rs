mod roman;

#[test]
fn all_six_and_their_neighbours() {
    let cases = [
        (0, ""),
        (1, "I"),
        (5, "V"),
        (14, "XIV"),
        (40, "XL"),
        (49, "XLIX"),
        (90, "XC"),
        (400, "CD"),
        (444, "CDXLIV"),
        (888, "DCCCLXXXVIII"),
        (900, "CM"),
        (1994, "MCMXCIV"),
        (3999, "MMMCMXCIX"),
    ];
    for (number, text) in cases {
        assert_eq!(roman::roman(number), text, "{number}");
    }
}
