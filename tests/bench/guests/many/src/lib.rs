//! Views of many features: what an answer costs that is wide.

use trifold_sdk::prelude::*;

/// What a sensor says, five numbers at a time.
#[derive(Input)]
pub struct Reading {
    /// The sensor.
    #[entity]
    pub sensor: i64,
    /// A number.
    pub a: f64,
    /// A number.
    pub b: f64,
    /// A number.
    pub c: f64,
    /// A number.
    pub d: f64,
    /// A number.
    pub e: f64,
}

/// A row view whose features have these names.
#[cfg(not(feature = "window"))]
macro_rules! row {
    ($($name:ident)*) => {
        /// Numbers.
        #[derive(Output)]
        pub struct Numbers {
            $(
                /// A number.
                pub $name: f64,
            )*
        }

        /// Numbers, each larger than the one before.
        #[row_view(name = "bench_many")]
        pub fn many(reading: Reading) -> Numbers {
            let Reading { a, b, c, d, e, .. } = reading;
            let mut next = a + b + c + d + e;
            Numbers { $($name: { next += 1.0; next },)* }
        }
    };
}

#[cfg(not(any(feature = "window", feature = "large")))]
row! {
    f001 f002 f003 f004 f005 f006 f007 f008 f009 f010 f011 f012 f013 f014 f015 f016 f017 f018 f019 f020 f021 f022 f023 f024 f025
    f026 f027 f028 f029 f030 f031 f032 f033 f034 f035 f036 f037 f038 f039 f040 f041 f042 f043 f044 f045 f046 f047 f048 f049 f050
}

#[cfg(all(feature = "large", not(feature = "window")))]
row! {
    f001 f002 f003 f004 f005 f006 f007 f008 f009 f010 f011 f012 f013 f014 f015 f016 f017 f018 f019 f020 f021 f022 f023 f024 f025
    f026 f027 f028 f029 f030 f031 f032 f033 f034 f035 f036 f037 f038 f039 f040 f041 f042 f043 f044 f045 f046 f047 f048 f049 f050
    f051 f052 f053 f054 f055 f056 f057 f058 f059 f060 f061 f062 f063 f064 f065 f066 f067 f068 f069 f070 f071 f072 f073 f074 f075
    f076 f077 f078 f079 f080 f081 f082 f083 f084 f085 f086 f087 f088 f089 f090 f091 f092 f093 f094 f095 f096 f097 f098 f099 f100
    f101 f102 f103 f104 f105 f106 f107 f108 f109 f110 f111 f112 f113 f114 f115 f116 f117 f118 f119 f120 f121 f122 f123 f124 f125
    f126 f127 f128 f129 f130 f131 f132 f133 f134 f135 f136 f137 f138 f139 f140 f141 f142 f143 f144 f145 f146 f147 f148 f149 f150
    f151 f152 f153 f154 f155 f156 f157 f158 f159 f160 f161 f162 f163 f164 f165 f166 f167 f168 f169 f170 f171 f172 f173 f174 f175
    f176 f177 f178 f179 f180 f181 f182 f183 f184 f185 f186 f187 f188 f189 f190 f191 f192 f193 f194 f195 f196 f197 f198 f199 f200
    f201 f202 f203 f204 f205 f206 f207 f208 f209 f210 f211 f212 f213 f214 f215 f216 f217 f218 f219 f220 f221 f222 f223 f224 f225
    f226 f227 f228 f229 f230 f231 f232 f233 f234 f235 f236 f237 f238 f239 f240 f241 f242 f243 f244 f245 f246 f247 f248 f249 f250
}

/// A window view of five aggregates of each of these fields.
#[cfg(feature = "window")]
macro_rules! window {
    ($windows:literal, $($field:ident: $count:ident $total:ident $mean:ident $smallest:ident $largest:ident)*) => {
        /// What a sensor said.
        #[window_view(name = "bench_many", event = Reading, windows = $windows, lateness = "1h")]
        pub struct Readings {
            $(
                /// How many there were.
                #[of(())]
                pub $count: Count,
                /// Their sum.
                #[of(event.$field)]
                pub $total: Sum,
                /// Their mean.
                #[of(event.$field)]
                pub $mean: Mean,
                /// The smallest.
                #[of(event.$field)]
                pub $smallest: Min<f64>,
                /// The largest.
                #[of(event.$field)]
                pub $largest: Max<f64>,
            )*
        }
    };
}

#[cfg(all(feature = "window", not(feature = "large")))]
window! {
    "5m, 15m, 1h, 6h, 1d",
    a: count_a total_a mean_a smallest_a largest_a
    b: count_b total_b mean_b smallest_b largest_b
}

#[cfg(all(feature = "window", feature = "large"))]
window! {
    "1m, 5m, 10m, 15m, 30m, 1h, 3h, 6h, 12h, 1d",
    a: count_a total_a mean_a smallest_a largest_a
    b: count_b total_b mean_b smallest_b largest_b
    c: count_c total_c mean_c smallest_c largest_c
    d: count_d total_d mean_d smallest_d largest_d
    e: count_e total_e mean_e smallest_e largest_e
}
