//! STARK's front door: source map, lexer, layout, syntax tree, parser and diagnostics.
