; language:   php
; extensions: .php .phtml
; grammar:    tree-sitter-php/tree-sitter-php.wasm

; Where a chunk may begin.
(program (_) @statement)
(compound_statement (_) @statement)
(declaration_list (_) @statement)
(enum_declaration_list (_) @statement)
(case_statement (_) @statement)
(function_definition name: (name) @name body: (_) @body) @definition.function
(method_declaration name: (name) @name body: (_)? @body) @definition.function
(class_declaration name: (name) @name body: (_) @body) @definition.class
(interface_declaration name: (name) @name body: (_) @body) @definition.class
(trait_declaration name: (name) @name body: (_) @body) @definition.class
(enum_declaration name: (name) @name body: (_) @body) @definition.class
(namespace_definition name: (_) @name body: (_) @body) @definition.namespace

; Comments and attributes belong to the code after them, so they begin nothing.
[(comment) (php_tag)] @comment
(attribute_list) @attribute

(namespace_use_declaration) @import
(namespace_definition !body) @import
(expression_statement [(require_expression (_) @import.name) (require_once_expression (_) @import.name)
  (include_expression (_) @import.name) (include_once_expression (_) @import.name)]) @import
(namespace_use_declaration (namespace_name) @import.module)
(namespace_use_clause . [(name) (qualified_name)] @import.name)
(namespace_use_clause [(name) @import.part (qualified_name (name) @import.part)])

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
(name) @reference

(assignment_expression left: [
  (variable_name (name) @binding)
  (member_access_expression name: (name) @binding)
])
(foreach_statement (variable_name (name) @binding))
(foreach_statement (pair (variable_name (name) @binding)))
(property_element name: (variable_name (name) @binding))
(const_element . (name) @binding)
(enum_case name: (name) @binding)
(catch_clause name: (variable_name (name) @binding))

(simple_parameter name: (variable_name (name) @parameter))
(variadic_parameter name: (variable_name (name) @parameter))
(property_promotion_parameter name: (variable_name (name) @parameter))

; What of a file could not be parsed.
(ERROR) @error
