; language:   c
; extensions: .c
; grammar:    tree-sitter-c/tree-sitter-c.wasm

; Where a chunk may begin.
(translation_unit (_) @statement)
(compound_statement (_) @statement)
(preproc_if (_) @statement)
(preproc_ifdef (_) @statement)
(preproc_else (_) @statement)
(linkage_specification body: (declaration_list (_) @statement))
(function_definition declarator: (function_declarator declarator: (identifier) @name) body: (_) @body) @definition.function
(function_definition
  declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name))
  body: (_) @body) @definition.function
(function_definition
  declarator: (pointer_declarator
    declarator: (pointer_declarator declarator: (function_declarator declarator: (identifier) @name)))
  body: (_) @body) @definition.function
(preproc_function_def name: (identifier) @name value: (_)? @body) @definition.function
(struct_specifier name: (type_identifier) @name body: (_) @body) @definition.class
(union_specifier name: (type_identifier) @name body: (_) @body) @definition.class
(enum_specifier name: (type_identifier) @name body: (_) @body) @definition.class
(type_definition type: [
  (struct_specifier body: (_) @body) (union_specifier body: (_) @body) (enum_specifier body: (_) @body)
] declarator: (type_identifier) @name) @definition.class

; A comment belongs to the code after it, so it begins nothing.
(comment) @comment

(preproc_include) @import
(preproc_include path: (_) @import.name)

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (type_identifier) (field_identifier)] @reference

(preproc_def name: (identifier) @binding)
(enumerator name: (identifier) @binding)
(declaration declarator: [
  (identifier) @binding
  (pointer_declarator declarator: (identifier) @binding)
  (array_declarator declarator: (identifier) @binding)
  (init_declarator declarator: [
    (identifier) @binding
    (pointer_declarator declarator: (identifier) @binding)
    (array_declarator declarator: (identifier) @binding)
  ])
  (function_declarator declarator: (identifier) @binding)
  (pointer_declarator declarator: (function_declarator declarator: (identifier) @binding))
])
(type_definition declarator: [
  (type_identifier) @binding
  (pointer_declarator declarator: (type_identifier) @binding)
  (function_declarator declarator: (parenthesized_declarator (pointer_declarator declarator: (type_identifier) @binding)))
])
(field_declaration declarator: [
  (field_identifier) @binding
  (pointer_declarator declarator: (field_identifier) @binding)
  (array_declarator declarator: (field_identifier) @binding)
])
(assignment_expression left: [(identifier) @binding (field_expression field: (field_identifier) @binding)])

(parameter_declaration declarator: [
  (identifier) @parameter
  (pointer_declarator declarator: (identifier) @parameter)
  (pointer_declarator declarator: (pointer_declarator declarator: (identifier) @parameter))
  (array_declarator declarator: (identifier) @parameter)
])
(preproc_params (identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
