mod shape;

use shape::Shape;

#[test]
fn every_shape() {
    let shapes = [
        (Shape::Square { side: 3.0 }, 9.0, "square"),
        (Shape::Rectangle { width: 2.0, height: 5.0 }, 10.0, "rectangle"),
        (Shape::Triangle { base: 10.0, height: 1.0 }, 5.0, "triangle"),
        (Shape::Triangle { base: 0.0, height: 7.0 }, 0.0, "triangle"),
    ];
    for (shape, area, name) in shapes {
        assert_eq!((shape.area(), shape.name()), (area, name));
    }
}
