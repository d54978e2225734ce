{# How unequally customers share an amount: classes of about the same value, and what is read off them. #}

{# Amounts that agree in their first three digits are one class; classes are ordered as their amounts are. Null for no amount. The digits are
   those of the amount in ten-thousandths, which is whole: 1.13 * 100 is a little less than 113. #}
{% macro amount_class(amount) -%}
    {%- set value = 'cast(' ~ amount ~ ' as ' ~ neopulse.float_type() ~ ')' -%}
    cast(
        case
            when {{ amount }} is null or {{ value }} <= 0 then null   {# least() of DuckDB passes over nulls #}
            {%- for power in range(1, 9) %}
            when {{ value }} < {{ 10 ** power }}
                then {{ (power - 1) * 1000 }} + floor(round({{ value }} * 10000) / {{ 10 ** (power + 1) }})
            {%- endfor %}
            else 8000 + least(floor({{ value }} / 1000000), 1000000000)
        end as {{ dbt.type_bigint() }}
    )
{%- endmacro %}

{# How many customers the largest `percent` of `customers` are: at least one. #}
{% macro largest(customers, percent) -%}
    ceil(cast({{ customers }} as {{ neopulse.float_type() }}) * {{ percent }} / 100)
{%- endmacro %}

{# Of classes with `customers`, `total`, `customers_above` and `customers_in_all`: the share of the total that the largest have. #}
{% macro share_of_largest(percent) -%}
    sum(total * least(greatest({{ neopulse.largest('customers_in_all', percent) }} - customers_above, 0), customers) / customers)
    / nullif(sum(total), 0)
{%- endmacro %}

{# The Gini coefficient of the same classes: twice the area between the Lorenz curve and the even one. #}
{% macro gini() -%}
    2 * sum(total * (customers_in_all - customers_above - customers + (customers + 1) / 2.0))
    / nullif(sum(total) * max(customers_in_all), 0)
    - (max(customers_in_all) + 1) / nullif(cast(max(customers_in_all) as {{ neopulse.float_type() }}), 0)
{%- endmacro %}
