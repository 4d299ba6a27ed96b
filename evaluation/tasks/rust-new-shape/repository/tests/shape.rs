#[path = "../shape.rs"]
mod shape;

use shape::Shape;

#[test]
fn a_triangle() {
    let triangle = Shape::Triangle { base: 4.0, height: 3.0 };
    assert_eq!(triangle.area(), 6.0);
    assert_eq!(triangle.name(), "triangle");
}
