; language:   rust
; extensions: .rs
; grammar:    tree-sitter-rust/tree-sitter-rust.wasm

; Where a chunk may begin. What implements a type carries the type's name.
(source_file (_) @statement)
(block (_) @statement)
(declaration_list (_) @statement)
(match_block (_) @statement)
(function_item name: (_) @name body: (_) @body) @definition.function
(function_signature_item name: (_) @name) @definition.function
(macro_definition name: (identifier) @name) @definition.function
(struct_item name: (type_identifier) @name body: (field_declaration_list) @body) @definition.class
(struct_item name: (type_identifier) @name body: (ordered_field_declaration_list)) @definition.class
(struct_item name: (type_identifier) @name !body) @definition.class
(enum_item name: (type_identifier) @name body: (_) @body) @definition.class
(union_item name: (type_identifier) @name body: (_) @body) @definition.class
(trait_item name: (type_identifier) @name body: (_) @body) @definition.class
(type_item name: (type_identifier) @name) @definition.class
(impl_item type: [
  (type_identifier) @name
  (generic_type type: (type_identifier) @name)
  (scoped_type_identifier name: (type_identifier) @name)
  (reference_type type: (type_identifier) @name)
] body: (_) @body) @definition.class
(mod_item name: (identifier) @name body: (_) @body) @definition.namespace

; Comments and attributes belong to the code after them, so they begin nothing.
[(line_comment) (block_comment)] @comment
(attribute_item) @attribute

[(use_declaration) (extern_crate_declaration)] @import
(use_declaration argument: [(identifier) (scoped_identifier) (crate)] @import.name)
(use_declaration argument: (use_as_clause path: (_) @import.name))
(use_declaration argument: (use_wildcard) @import.name)
(scoped_use_list path: (_) @import.module)
(use_list [(identifier) (scoped_identifier) (self)] @import.name)
(use_list (use_as_clause path: (_) @import.name))
(use_list (use_wildcard) @import.name)
(extern_crate_declaration name: (identifier) @import.name)
(use_declaration argument: [(identifier) @import.part (scoped_identifier name: (identifier) @import.part)])
(use_list [(identifier) @import.part (scoped_identifier name: (identifier) @import.part)])
(use_as_clause alias: (identifier) @import.part)
(extern_crate_declaration name: (identifier) @import.part)

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (type_identifier) (field_identifier) (shorthand_field_identifier)] @reference

(let_declaration pattern: [
  (identifier) @binding
  (mut_pattern (identifier) @binding)
  (tuple_pattern (identifier) @binding)
  (tuple_struct_pattern (identifier) @binding)
])
(let_condition pattern: (tuple_struct_pattern type: (_) (identifier) @binding))
(for_expression pattern: [(identifier) @binding (tuple_pattern (identifier) @binding)])
(const_item name: (identifier) @binding)
(static_item name: (identifier) @binding)
(field_declaration name: (field_identifier) @binding)
(enum_variant name: (identifier) @binding)
(assignment_expression left: [(identifier) @binding (field_expression field: (field_identifier) @binding)])

(parameter pattern: [(identifier) @parameter (mut_pattern (identifier) @parameter)])
(closure_parameters [(identifier) @parameter (parameter pattern: (identifier) @parameter)])
(type_parameter name: (type_identifier) @parameter)
(const_parameter name: (identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
