//! Shapes and their areas.

/// A plane shape.
pub enum Shape {
    Square { side: f64 },
    Rectangle { width: f64, height: f64 },
}

impl Shape {
    /// Returns the area.
    pub fn area(&self) -> f64 {
        match self {
            Shape::Square { side } => side * side,
            Shape::Rectangle { width, height } => width * height,
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        match self {
            Shape::Square { .. } => "square",
            Shape::Rectangle { .. } => "rectangle",
        }
    }
}
