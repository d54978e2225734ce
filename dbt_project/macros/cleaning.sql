{# Without the blanks around it. Without a word on what to take off, each engine would take off other kinds of blanks too, and not the same. #}
{% macro trimmed(text) %}{{ return("trim(" ~ text ~ ", ' ')") }}{% endmacro %}

{# A town name, or null where it holds digits: a telephone number, a street address or a code is no town. #}
{% macro clean_city(text) %}
    case when not {{ neopulse.has_digits(text) }} then nullif({{ neopulse.trimmed(text) }}, '') end
{%- endmacro %}

{# A country or plan of a customer, a type or state of a transaction, in capitals; the word `unknown` says as little as nothing. #}
{% macro clean_attribute(text) %}nullif({{ neopulse.clean_word(text) }}, 'UNKNOWN'){% endmacro %}

{# ISO 3166 alpha-3; Romania's code before 2002 (ROM) becomes ROU. #}
{% macro clean_country_alpha_3(text) %}
    case when upper({{ neopulse.trimmed(text) }}) = 'ROM' then 'ROU' else nullif(upper({{ neopulse.trimmed(text) }}), '') end
{%- endmacro %}

{# The opt-ins and switches come as 1.0, 0.0, true or nothing; nothing is unknown, which is not a no. #}
{% macro clean_flag(text) %}
    ({{ neopulse.place_of('lower(' ~ neopulse.trimmed(text) ~ ')', ['true', '1', '1.0', 't', 'false', '0', '0.0', 'f']) }} <= 4)
{%- endmacro %}

{# A whole number that may have come as a float, such as 5411.0; halves are rounded away from zero on both engines. #}
{% macro clean_integer(text) -%}
    {%- set number = neopulse.read_number(text) -%}
    case when abs({{ number }}) < 2147483647 then cast(round({{ number }}) as integer) end
{%- endmacro %}
