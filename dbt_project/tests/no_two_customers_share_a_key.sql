-- of identifiers that are no numbers the key is a hash: two that share one would be one customer, whether a user table has them or not
with named as (
    select customer_key, user_id from {{ ref('customer_accounts') }} where customer_key < 0
    union all
    select customer_key, user_id_text from {{ ref('fct_customer_volumes') }} where customer_key < 0
)

select customer_key, min(user_id) as one_of_them, max(user_id) as another
from named
group by customer_key
having min(user_id) <> max(user_id)
