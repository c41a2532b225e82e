; language:   typescript
; extensions: .ts .mts .cts
; grammar:    tree-sitter-typescript/tree-sitter-typescript.wasm

; Where a chunk may begin. A wrapper lends its span to the definition inside it.
(program (_) @statement)
(statement_block (_) @statement)
(class_body (_) @statement)
(interface_body (_) @statement)
(enum_body (_) @statement)
(switch_case (_) @statement)
(function_declaration name: (identifier) @name body: (_) @body) @definition.function
(function_signature name: (identifier) @name) @definition.function
(generator_function_declaration name: (identifier) @name body: (_) @body) @definition.function
(class_declaration name: (_) @name body: (_) @body) @definition.class
(abstract_class_declaration name: (_) @name body: (_) @body) @definition.class
(interface_declaration name: (_) @name body: (_) @body) @definition.class
(enum_declaration name: (_) @name body: (_) @body) @definition.class
(type_alias_declaration name: (_) @name) @definition.class
(internal_module name: (_) @name body: (_) @body) @definition.namespace
(module name: (_) @name body: (_) @body) @definition.namespace
(method_definition name: (_) @name body: (_) @body) @definition.function
(method_signature name: (_) @name) @definition.function
(abstract_method_signature name: (_) @name) @definition.function
(public_field_definition name: (_) @name value: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)]) @definition.function
(lexical_declaration (variable_declarator name: (identifier) @name value: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function
(export_statement declaration: (function_declaration name: (identifier) @name body: (_) @body) @definition.function) @wrapper
(export_statement declaration: (function_signature name: (identifier) @name) @definition.function) @wrapper
(export_statement
  declaration: (generator_function_declaration name: (identifier) @name body: (_) @body) @definition.function) @wrapper
(export_statement declaration: (class_declaration name: (_) @name body: (_) @body) @definition.class) @wrapper
(export_statement declaration: (abstract_class_declaration name: (_) @name body: (_) @body) @definition.class) @wrapper
(export_statement declaration: (interface_declaration name: (_) @name body: (_) @body) @definition.class) @wrapper
(export_statement declaration: (enum_declaration name: (_) @name body: (_) @body) @definition.class) @wrapper
(export_statement declaration: (type_alias_declaration name: (_) @name) @definition.class) @wrapper
(export_statement declaration: (internal_module name: (_) @name body: (_) @body) @definition.namespace) @wrapper
(export_statement declaration: (lexical_declaration (variable_declarator name: (identifier) @name value: [
  (arrow_function body: (_) @body) (function_expression body: (_) @body)])) @definition.function) @wrapper
(ambient_declaration (function_signature name: (identifier) @name) @definition.function) @wrapper
(ambient_declaration (class_declaration name: (_) @name body: (_) @body) @definition.class) @wrapper
(ambient_declaration (module name: (_) @name body: (_) @body) @definition.namespace) @wrapper
(ambient_declaration (internal_module name: (_) @name body: (_) @body) @definition.namespace) @wrapper
(expression_statement (internal_module name: (_) @name body: (_) @body) @definition.namespace) @wrapper

; Comments and decorators belong to the code after them, so they begin nothing.
(comment) @comment
(decorator) @attribute

[(import_statement) (import_alias)] @import
(import_statement source: (string) @import.module)
(import_statement (import_require_clause source: (string) @import.module))
(import_specifier name: (_) @import.name)
(import_clause (identifier) @import.part)
(import_require_clause (identifier) @import.part)
(namespace_import (identifier) @import.part)
(import_specifier [name: (identifier) @import.part alias: (identifier) @import.part])

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (type_identifier) (property_identifier) (private_property_identifier) (shorthand_property_identifier)
  (shorthand_property_identifier_pattern)] @reference

(variable_declarator name: (identifier) @binding)
(public_field_definition name: (_) @binding)
(property_signature name: (property_identifier) @binding)
(enum_body [name: (property_identifier) @binding (enum_assignment name: (property_identifier) @binding)])
(assignment_expression left: [(identifier) @binding (member_expression property: (_) @binding)])
(for_in_statement left: (identifier) @binding)
(catch_clause parameter: (identifier) @binding)
(variable_declarator name: [
  (object_pattern [(shorthand_property_identifier_pattern) @binding (pair_pattern value: (identifier) @binding)
    (object_assignment_pattern left: (_) @binding) (rest_pattern (identifier) @binding)])
  (array_pattern [(identifier) @binding (assignment_pattern left: (identifier) @binding) (rest_pattern (identifier) @binding)])
])

(required_parameter pattern: [
  (identifier) @parameter
  (rest_pattern (identifier) @parameter)
  (object_pattern [(shorthand_property_identifier_pattern) @parameter (pair_pattern value: (identifier) @parameter)
    (object_assignment_pattern left: (shorthand_property_identifier_pattern) @parameter)])
  (array_pattern (identifier) @parameter)
])
(optional_parameter pattern: (identifier) @parameter)
(type_parameter name: (type_identifier) @parameter)
(arrow_function parameter: (identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
