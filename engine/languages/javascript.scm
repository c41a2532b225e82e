; language:   javascript
; extensions: .js .jsx .mjs .cjs
; grammar:    tree-sitter-javascript/tree-sitter-javascript.wasm

; Where a chunk may begin. A wrapper lends its span to the definition inside it.
(program (_) @statement)
(statement_block (_) @statement)
(class_body (_) @statement)
(switch_case (_) @statement)
(function_declaration name: (identifier) @name body: (_) @body) @definition.function
(generator_function_declaration name: (identifier) @name body: (_) @body) @definition.function
(class_declaration name: (identifier) @name body: (_) @body) @definition.class
(method_definition name: (_) @name body: (_) @body) @definition.function
(field_definition property: (_) @name value: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)]) @definition.function
(lexical_declaration (variable_declarator name: (identifier) @name value: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function
(lexical_declaration (variable_declarator name: (identifier) @name value: (class body: (_) @body))) @definition.class
((expression_statement (assignment_expression
  left: (member_expression
    object: (member_expression object: (identifier) @scope property: (property_identifier) @_prototype)
    property: (property_identifier) @name)
  right: [(arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function
  (#eq? @_prototype "prototype"))
(expression_statement (assignment_expression left: (member_expression object: (identifier) property: (property_identifier) @name) right: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function
(export_statement declaration: (function_declaration name: (identifier) @name body: (_) @body) @definition.function) @wrapper
(export_statement
  declaration: (generator_function_declaration name: (identifier) @name body: (_) @body) @definition.function) @wrapper
(export_statement declaration: (class_declaration name: (identifier) @name body: (_) @body) @definition.class) @wrapper
(export_statement declaration: (lexical_declaration (variable_declarator name: (identifier) @name value: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function) @wrapper

; Comments and decorators belong to the code after them, so they begin nothing.
(comment) @comment
(decorator) @attribute

(import_statement) @import
(import_statement source: (string) @import.module)
(import_specifier name: (_) @import.name)
(import_clause (identifier) @import.part)
(namespace_import (identifier) @import.part)
(import_specifier [name: (identifier) @import.part alias: (identifier) @import.part])

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (property_identifier) (private_property_identifier) (shorthand_property_identifier)
  (shorthand_property_identifier_pattern)] @reference

(variable_declarator name: (identifier) @binding)
(field_definition property: (_) @binding)
(assignment_expression left: [(identifier) @binding (member_expression property: (_) @binding)])
(for_in_statement left: (identifier) @binding)
(catch_clause parameter: (identifier) @binding)
(variable_declarator name: [
  (object_pattern [(shorthand_property_identifier_pattern) @binding (pair_pattern value: (identifier) @binding)
    (object_assignment_pattern left: (_) @binding) (rest_pattern (identifier) @binding)])
  (array_pattern [(identifier) @binding (assignment_pattern left: (identifier) @binding) (rest_pattern (identifier) @binding)])
])

(formal_parameters [
  (identifier) @parameter
  (assignment_pattern left: (identifier) @parameter)
  (rest_pattern (identifier) @parameter)
  (object_pattern [(shorthand_property_identifier_pattern) @parameter (pair_pattern value: (identifier) @parameter)
    (object_assignment_pattern left: (shorthand_property_identifier_pattern) @parameter)])
  (array_pattern (identifier) @parameter)
])
(arrow_function parameter: (identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
