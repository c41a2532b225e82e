; language:   go
; extensions: .go
; grammar:    tree-sitter-go/tree-sitter-go.wasm

; Where a chunk may begin. A method's scope is the type of its receiver.
(source_file (_) @statement)
(block (statement_list (_) @statement))
(expression_case (statement_list (_) @statement))
(type_case (statement_list (_) @statement))
(function_declaration name: (identifier) @name body: (_) @body) @definition.function
(method_declaration
  receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @scope
    (pointer_type (type_identifier) @scope)
    (generic_type type: (type_identifier) @scope)
    (pointer_type (generic_type type: (type_identifier) @scope))
  ]))
  name: (field_identifier) @name
  body: (_) @body) @definition.function
(type_declaration . (type_spec name: (type_identifier) @name type: (struct_type (field_declaration_list) @body)) .) @definition.class
(type_declaration . (type_spec name: (type_identifier) @name type: (interface_type)) .) @definition.class
(type_declaration . (type_spec name: (type_identifier) @name type: [
  (type_identifier) (qualified_type) (pointer_type) (slice_type) (array_type) (map_type) (channel_type) (function_type)
  (generic_type)]) .) @definition.class
(type_declaration . (type_alias name: (type_identifier) @name) .) @definition.class
(type_declaration "(" (type_spec name: (type_identifier) @name type: (struct_type (field_declaration_list) @body)) @definition.class)
(type_declaration "(" (type_spec name: (type_identifier) @name type: (interface_type)) @definition.class)
(type_declaration "(" (type_spec name: (type_identifier) @name type: [
  (type_identifier) (qualified_type) (pointer_type) (slice_type) (array_type) (map_type) (channel_type) (function_type)
  (generic_type)]) @definition.class)

; A comment belongs to the code after it, so it begins nothing.
(comment) @comment

[(package_clause) (import_declaration)] @import
(import_spec path: (_) @import.name)
(import_spec name: (package_identifier) @import.part)
(package_clause (package_identifier) @import.part)

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (type_identifier) (field_identifier) (package_identifier)] @reference

(short_var_declaration left: (expression_list (identifier) @binding))
(assignment_statement left: (expression_list [(identifier) @binding (selector_expression field: (field_identifier) @binding)]))
(range_clause left: (expression_list (identifier) @binding))
(var_spec name: (identifier) @binding)
(const_spec name: (identifier) @binding)
(field_declaration name: (field_identifier) @binding)
(method_elem name: (field_identifier) @binding)

(parameter_declaration name: (identifier) @parameter)
(variadic_parameter_declaration name: (identifier) @parameter)
(type_parameter_declaration name: (identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
