//! What a person prefers to read and to look at.

string_enum! {
    /// A language FlowBot speaks to people who sign in: errors and letters.
    Language {
        /// English.
        En = "en",
        /// Hebrew.
        He = "he",
        /// Arabic.
        Ar = "ar",
        /// Russian.
        Ru = "ru",
    }
}

string_enum! {
    /// How the user interface looks.
    Theme {
        /// Dark on light.
        Light = "light",
        /// Light on dark.
        Dark = "dark",
        /// As the person's device does.
        System = "system",
    }
}
