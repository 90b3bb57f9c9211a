//! Fifty columns in and fifty out: what a transform costs whose rows are wide.

use trifold_sdk::prelude::*;

macro_rules! wide {
    ($($name:ident)*) => {
        /// Fifty numbers, one of which names the entity.
        #[derive(Input)]
        pub struct Wide {
            /// Whose numbers these are.
            #[entity]
            pub key: i64,
            $(
                /// A number.
                pub $name: f64,
            )*
        }

        /// Fifty numbers.
        #[derive(Output)]
        pub struct Scaled {
            /// The sum of all.
            pub sum: f64,
            $(
                /// The number as a share of the sum.
                pub $name: f64,
            )*
        }

        /// Numbers as shares of their sum.
        #[row_view(name = "bench_wide")]
        pub fn wide(row: Wide) -> Scaled {
            let sum = 0.0 $(+ row.$name)*;
            Scaled { sum, $($name: row.$name / sum,)* }
        }

        impl Wide {
            /// A row of numbers in the order of the columns.
            pub fn of_numbers(key: i64, numbers: [f64; 49]) -> Self {
                let [$($name),*] = numbers;
                Wide { key, $($name,)* }
            }
        }

        impl Scaled {
            /// The numbers in the order of the columns.
            pub fn numbers(&self) -> [f64; 50] {
                [self.sum, $(self.$name,)*]
            }
        }
    };
}

wide! {
    c01 c02 c03 c04 c05 c06 c07 c08 c09 c10 c11 c12 c13 c14 c15 c16 c17 c18 c19 c20 c21 c22 c23 c24 c25
    c26 c27 c28 c29 c30 c31 c32 c33 c34 c35 c36 c37 c38 c39 c40 c41 c42 c43 c44 c45 c46 c47 c48 c49
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_sum() {
        let numbers = wide(Wide::of_numbers(1, [2.0; 49])).numbers();
        assert_eq!(numbers[0], 98.0);
        assert!(numbers[1..].iter().all(|share| *share == 2.0 / 98.0));
    }
}
