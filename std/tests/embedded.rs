//! What the binary carries of the library is what its texts say.

use stark_syntax::source::SourceId;

#[test]
fn the_embedded_trees_are_what_a_fresh_parse_gives() {
    assert_eq!(stark_std::SOURCES.len(), stark_std::TREES.len());
    assert!(!stark_std::SOURCES.is_empty());
    for ((path, text), (tree_path, tree)) in stark_std::SOURCES.iter().zip(stark_std::TREES) {
        assert_eq!(path, tree_path);
        let stored = stark_syntax::stored::read(tree, SourceId(3)).expect(path);
        let fresh = stark_syntax::parse(text, SourceId(3));
        assert!(format!("{:?}", stored.module) == format!("{:?}", fresh.module), "std/{path}.stark");
        let mut names = fresh.module_names;
        names.sort();
        assert_eq!(stored.module_names, names, "std/{path}.stark");
    }
}
