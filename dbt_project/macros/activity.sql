{# The activity rule: which transactions count. Data from the settings, never code. #}
{% macro counts_as_activity() %}
    transaction_state in ({{ neopulse.text_list(var('activity_states')) }})
    {%- if var('activity_excluded_types') %}
    and transaction_type not in ({{ neopulse.text_list(var('activity_excluded_types')) }})
    {%- endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}
    and amount_usd >= {{ var('activity_minimum_amount') }}
    {%- endif %}
{% endmacro %}

{% macro text_list(words) %}{% for word in words %}'{{ word }}'{{ ', ' if not loop.last }}{% endfor %}{% endmacro %}

{# The rule in one line, as titles and exports carry it. #}
{% macro activity_rule() -%}
    {{ var('activity_states') | join(' or ') }} transactions
    {%- if var('activity_excluded_types') %}, not {{ var('activity_excluded_types') | join(', ') }}{% else %}, every type{% endif %}
    {%- if var('activity_minimum_amount') | float > 0 %}, at least {{ var('activity_minimum_amount') }} USD{% endif %}
{%- endmacro %}

{% macro inactivity_days() %}{{ var('inactivity_days') | int }}{% endmacro %}

{# `user_123` and `123` are the same customer; other identifiers stay as they are. #}
{% macro bare_user_id(text) %}
    nullif(case when starts_with(trim({{ text }}), 'user_') then substr(trim({{ text }}), 6) else trim({{ text }}) end, '')
{% endmacro %}

{# A whole number for joins and windows: the identifier itself where it is a number, else a negative hash of it. #}
{% macro customer_key(bare_id) %}
    case
        when {{ neopulse.is_plain_number(bare_id) }} then {{ neopulse.try_convert(bare_id, dbt.type_bigint()) }}
        when {{ bare_id }} is not null then -1 - {{ neopulse.text_hash(bare_id) }}
    end
{% endmacro %}

{# The same for a transaction: its number where the identifier is `transaction_` and a number. #}
{% macro transaction_key(id) %}
    case
        when starts_with({{ id }}, 'transaction_') and {{ neopulse.is_plain_number('substr(' ~ id ~ ', 13)') }}
            then {{ neopulse.try_convert('substr(' ~ id ~ ', 13)', dbt.type_bigint()) }}
        when {{ id }} is not null then -1 - {{ neopulse.text_hash(id) }}
    end
{% endmacro %}

{# Digits alone, written as a number would be, and no more of them than fit. #}
{% macro is_plain_number(text) -%}
    length({{ text }}) between 1 and 18 and ltrim({{ text }}, '0123456789') = '' and (not starts_with({{ text }}, '0') or {{ text }} = '0')
{%- endmacro %}

{# What the bank's systems are known to write; anything else is kept, counted and shown. #}
{% macro known_states() %}
    {{ return(['COMPLETED', 'DECLINED', 'REVERTED', 'FAILED', 'PENDING', 'CANCELLED']) }}
{% endmacro %}

{% macro known_types() %}
    {{ return(['CARD_PAYMENT', 'TRANSFER', 'TOPUP', 'EXCHANGE', 'ATM', 'CASHBACK', 'FEE', 'CARD_REFUND', 'TAX', 'REFUND']) }}
{% endmacro %}

{# The shortest window that can be asked: gaps no longer than it are bridged by every window and are in no cube. #}
{% macro shortest_window_days() %}{{ [7, var('inactivity_days') | int] | min }}{% endmacro %}
