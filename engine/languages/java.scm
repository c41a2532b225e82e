; language:   java
; extensions: .java
; grammar:    tree-sitter-java/tree-sitter-java.wasm

; Where a chunk may begin.
(program (_) @statement)
(block (_) @statement)
(constructor_body (_) @statement)
(class_body (_) @statement)
(interface_body (_) @statement)
(annotation_type_body (_) @statement)
(enum_body (_) @statement)
(enum_body_declarations (_) @statement)
(switch_block (_) @statement)
(class_declaration name: (identifier) @name body: (_) @body) @definition.class
(interface_declaration name: (identifier) @name body: (_) @body) @definition.class
(annotation_type_declaration name: (identifier) @name body: (_) @body) @definition.class
(enum_declaration name: (identifier) @name body: (_) @body) @definition.class
(record_declaration name: (identifier) @name body: (_) @body) @definition.class
(method_declaration name: (identifier) @name !body) @definition.function
(method_declaration name: (identifier) @name body: (_) @body) @definition.function
(constructor_declaration name: (identifier) @name body: (_) @body) @definition.function
(compact_constructor_declaration name: (identifier) @name body: (_) @body) @definition.function
(annotation_type_element_declaration name: (identifier) @name) @definition.function

; Comments and annotations belong to the code after them, so they begin nothing.
[(line_comment) (block_comment)] @comment
(modifiers [(annotation) (marker_annotation)] @attribute)

[(package_declaration) (import_declaration)] @import
(import_declaration [(identifier) (scoped_identifier)] @import.name .)
(import_declaration (scoped_identifier) @import.module (asterisk) @import.name)
(import_declaration [(identifier) @import.part (scoped_identifier name: (identifier) @import.part)])
(package_declaration [(identifier) @import.part (scoped_identifier name: (identifier) @import.part)])

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (type_identifier)] @reference

(variable_declarator name: (identifier) @binding)
(enum_constant name: (identifier) @binding)
(assignment_expression left: [(identifier) @binding (field_access field: (identifier) @binding)])
(enhanced_for_statement name: (identifier) @binding)
(resource name: (identifier) @binding)
(catch_formal_parameter name: (identifier) @binding)
(instanceof_expression name: (identifier) @binding)

(formal_parameter name: (identifier) @parameter)
(spread_parameter (variable_declarator name: (identifier) @parameter))
(inferred_parameters (identifier) @parameter)
(lambda_expression parameters: (identifier) @parameter)
(type_parameter (type_identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
