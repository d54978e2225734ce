{# Wilson score interval, 95 %: Wilson (1927), J. Am. Stat. Assoc. 22:209-212; z = 1.959963984540054. Null when n = 0. #}
{% macro wilson_low(successes, n) %}{{ neopulse.wilson_bound(successes, n, '-') }}{% endmacro %}
{% macro wilson_high(successes, n) %}{{ neopulse.wilson_bound(successes, n, '+') }}{% endmacro %}

{% macro wilson_bound(successes, n, sign) -%}
    {%- set z2 = '3.841458820694124e0' -%}
    case when {{ n }} > 0 then
        {{ 'greatest(0e0, ' if sign == '-' else 'least(1e0, ' }}(
            {{ successes }} + {{ z2 }} / 2
            {{ sign }} 1.959963984540054e0 * sqrt(
                cast({{ successes }} as {{ neopulse.float_type() }}) * ({{ n }} - {{ successes }}) / {{ n }} + {{ z2 }} / 4
            )
        ) / ({{ n }} + {{ z2 }}))
    end
{%- endmacro %}

{% macro share(part, whole) -%}
    cast({{ part }} as {{ neopulse.float_type() }}) / nullif({{ whole }}, 0)
{%- endmacro %}
